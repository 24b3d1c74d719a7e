"""Images of shapes with their masks, and a module that returns feature maps."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from hubline.preprocessing.config import Features, ImageFeature
from hubline.preprocessing.labels.pixels import PixelsLabel
from tests.support import example_data

CLASSES = ("background", "disc", "box")


def label(**settings: Any) -> PixelsLabel:
    """The label of `record`."""
    said = {"kind": "pixels", "from": "mask", "image": "photo", "classes": CLASSES}
    return PixelsLabel.model_validate(said | settings)


def features(size: tuple[int, int] = (32, 32), **settings: Any) -> Features:
    """The image feature."""
    return {"photo": ImageFeature.model_validate({"kind": "image", "from": "image", "size": size} | settings)}


def shapes(rng: np.random.Generator, height: int = 32, width: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """A black image with a bright disc and a bright box, uint8 [height, width, 3], and its mask [height, width].

    They differ in shape only: the disc is red, and so is part of the box's border.
    """
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    for number in (1, 2):
        tall = int(rng.integers(min(height, width) // 4, min(height, width) // 2))
        top, left = int(rng.integers(0, height - tall)), int(rng.integers(0, width - tall))
        (draw.ellipse if number == 1 else draw.rectangle)((left, top, left + tall, top + tall), fill=number)
    numbers = np.array(mask)
    pixels = np.zeros([height, width, 3], np.uint8)
    pixels[numbers == 1, 0] = 255
    pixels[numbers == 2, 1] = 255
    return pixels, numbers


def mask_bytes(numbers: np.ndarray, palette: bool = False) -> bytes:
    """Encodes a mask, uint8 [height, width], as a grey PNG, or as one with a palette."""
    if not palette:
        return example_data.image_bytes(numbers)
    image = Image.fromarray(numbers, "P")
    image.putpalette([value for number in range(256) for value in (number * 37 % 256, 255 - number, number * 91 % 256)])
    return _png(image)


def _png(image: Image.Image) -> bytes:
    import io

    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def record(pixels: np.ndarray, numbers: np.ndarray, **more: Any) -> bytes:
    """An image with its mask."""
    return example_data.record(image=example_data.image_bytes(pixels), mask=mask_bytes(numbers), **more)


def records(count: int, seed: int = 0) -> list[bytes]:
    """Records of `shapes`, half of which have `turn` 1."""
    rng = np.random.default_rng(seed)
    return [record(*shapes(rng), turn=number % 2) for number in range(count)]


class Maps(tf.Module):
    """Maps images, float32 [batch, height, width, 3], to feature maps of a half, a quarter and an eighth of the size,
    and to a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = tf.Variable(tf.ones([3]), name="scale")

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32, name="images")])
    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.outputs(images)

    def outputs(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """The feature maps by name."""
        images = images * self.scale
        maps = {f"block{n}": tf.nn.avg_pool2d(images, 2**n, 2**n, "VALID") for n in (1, 2, 3)}
        return maps | {"vector": tf.reduce_mean(images, [1, 2])}


class MapsOfAnySize(Maps):
    """`Maps` for images of any size."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="images")])
    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.outputs(images)


def module(path: Path, of: type[Maps] = Maps) -> Path:
    """Saves such a hub module."""
    tf.saved_model.save(of(), str(path))
    return path


def mean_iou(true: np.ndarray, told: np.ndarray, classes: int) -> float:
    """Mean IoU over all pixels of the classes that occur in labels or predictions, in NumPy."""
    found = []
    for number in range(classes):
        union = ((true == number) | (told == number)).sum()
        if union:
            found.append(((true == number) & (told == number)).sum() / union)
    return float(np.mean(found))
