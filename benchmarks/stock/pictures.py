"""scikit-learn's models on the pixels of images, on the splits of a run of Hubline."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn.datasets
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks.harness import newest
from benchmarks.stock.housing import rows
from hubline.pipeline.load import load


def write_folders(source: str, folder: str, salt: int) -> None:
    """Writes images to one folder per class.

    Args:
        source: Such a folder, or `sklearn:digits`.
        folder: The folder to write.
        salt: Part of each file's name: records are split by a hash of their content, so another one splits them anew.
    """
    target = Path(folder)
    if source != "sklearn:digits":
        for path in sorted(Path(source).glob("*/*")):
            place = target / path.parent.name / f"{salt}-{path.name}"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        return
    digits = sklearn.datasets.load_digits()
    for number, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        place = target / str(digit) / f"{salt}-{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(place)


def score(file: str, trained: str) -> dict[str, Any]:
    """Scores the model that is best on the validation split in the root `trained`; the figure `score` is for the test
    split. Pixels have the size of the image feature in `file`."""
    config, _ = load(Path(file))
    feature = config.features["image"]
    examples = newest(trained, "ExampleGen", "examples")
    x, y = {}, {}
    for split in ("train", "validation", "test"):
        table: pd.DataFrame = rows(examples / f"Split-{split}")
        x[split] = np.stack([_pixels(image, feature.size, feature.channels) for image in table["image"]])
        y[split] = table["label"].str.decode("utf-8")
    models = [
        LogisticRegression(C=0.1, max_iter=2000),
        MLPClassifier((128,), alpha=0.01, max_iter=200, random_state=0),
        SVC(C=10),
    ]
    fitted = [make_pipeline(StandardScaler(), model).fit(x["train"], y["train"]) for model in models]
    best = max(fitted, key=lambda model: model.score(x["validation"], y["validation"]))
    return {"figures": {"score": float(best.score(x["test"], y["test"]))}}


def _pixels(encoded: bytes, size: tuple[int, int], channels: int) -> np.ndarray:
    image = Image.open(io.BytesIO(encoded)).convert("L" if channels == 1 else "RGB")
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR), np.float32).ravel() / 255
