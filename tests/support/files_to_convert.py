"""Files for `hubline convert`: images with known colours, folders of images, and tables next to them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image
from rich.console import Console

from hubline.pipeline.convert.collect import CollectionConversion, collect
from hubline.pipeline.convert.collection import Collection
from hubline.pipeline.convert.output import Destination
from hubline.preprocessing.encoded_images import decode
from tests.support.conversion import rows_of


def converted(
    collection: Collection, folder: Path, on_bad: Any = "fail", workers: int = 2, **to: Any
) -> CollectionConversion:
    """Converts to the subfolder `out`."""
    return collect(collection, Destination(folder / "out", **to), on_bad, Console(quiet=True), workers)


def pixels(encoded: bytes) -> np.ndarray:
    """A model's input: uint8 [height, width, 3]."""
    return decode(tf.constant(encoded)).numpy()


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def tiles(height: int = 4, width: int = 6, seed: int = 0) -> Image.Image:
    """Squares of 8 pixels in different colours, which survive JPEG."""
    colours = np.random.default_rng(seed).integers(0, 256, [height, width, 3], np.uint8)
    return Image.fromarray(colours.repeat(8, axis=0).repeat(8, axis=1))


def turned(image: Image.Image, form: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, form, exif=exif, **({"quality": 95, "subsampling": 0} if form == "JPEG" else {}))


def write(folder: Path, **files: bytes) -> Path:
    """Writes files by path; `a__b` is the file b in the folder a, and the last `_` stands for a dot."""
    for name, data in files.items():
        stem, _, ending = name.replace("__", "/").rpartition("_")
        path = folder / (f"{stem}.{ending}" if stem else ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def by_file(folder: Path) -> dict[str, dict[str, list]]:
    return {row["file"][0].decode(): row for row in rows_of(folder)}


# Images


def write_photos(folder: Path) -> Path:
    """Twelve images of two classes, in one folder per class."""
    forms = ["JPEG", "PNG", "GIF", "BMP"]
    for number in range(12):
        label = ("cat", "dog")[number % 2]
        data = saved(tiles(seed=number), forms[number % 4])
        write(folder, **{f"{label}__{number}_{forms[number % 4].lower()}": data})
    return folder


# Labels in a table


def table(folder: Path, text: str, name: str = "labels.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name
