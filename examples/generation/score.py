"""Prints how much of the noise the denoiser removed, and how many of the generator's digits look like digits.

python examples/generation/score.py
"""

import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from make_data import FOR_THE_MODULES, SIZE, enlarged
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.svm import SVC

HERE = Path(__file__).parent
SURE = 0.9


def rows(folder: Path) -> list[dict]:
    """The predictions in a folder."""
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def pixels(path: Path) -> np.ndarray:
    """A grey image in [0, 1], [height, width]."""
    return np.asarray(Image.open(path)) / 255


def denoised(predictions: Path) -> None:
    """Compares the pipeline's newest predictions with the original images."""
    newest = max(predictions.iterdir(), key=lambda version: int(version.name))
    made = {row["key"]: pixels(newest / row["denoised"]) for row in rows(newest)}
    columns = {name: tf.io.FixedLenFeature([], tf.string) for name in ("id", "image", "clean")}
    before, after = [], []
    for record in tf.data.TFRecordDataset(str(HERE / "data" / "noisy.tfrecord.gz"), "GZIP"):
        parsed = tf.io.parse_single_example(record, columns)
        noisy, clean = (tf.io.decode_png(parsed[name])[..., 0].numpy() / 255 for name in ("image", "clean"))
        before.append(((noisy - clean) ** 2).mean())
        after.append(((made[parsed["id"].numpy().decode()] - clean) ** 2).mean())
    errors = [float(np.mean(of) ** 0.5) for of in (before, after)]
    print(f"{len(before)} pictures, where white is 1: an RMSE of {errors[0]:.3f} with noise, {errors[1]:.3f} without")


def generated(folder: Path) -> None:
    """Classifies generated digits, and real ones not seen in training, with a support vector machine."""
    digits = load_digits()
    images = enlarged(digits.images).reshape(len(digits.target), -1)
    machine = SVC(probability=True, random_state=0)
    machine.fit(images[:FOR_THE_MODULES], digits.target[:FOR_THE_MODULES])
    drawn = np.stack([pixels(folder / row["default"]).reshape(SIZE * SIZE) for row in rows(folder)])
    noise = np.random.default_rng(0).random(drawn.shape)
    for what, given in (("generated", drawn), ("real", images[FOR_THE_MODULES:]), ("noise", noise)):
        shares = machine.predict_proba(given)
        sure, kinds = (shares.max(axis=1) > SURE).mean(), len(set(shares.argmax(axis=1)))
        print(f"{what}: of {len(given)}, {sure:.2f} are told with more than {SURE}; {kinds} digits are among them")


def main() -> None:
    """Scores both modules."""
    denoised(HERE / "predictions")
    generated(HERE / "generated")


if __name__ == "__main__":
    main()
