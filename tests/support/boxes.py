"""Images with one rectangle each, and a module that detects bright areas."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.preprocessing.config import Features, ImageFeature
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel
from tests.support import example_data

CLASSES = ("red", "green")


def label(**settings: Any) -> ClassAndBoxLabel:
    """A label with the columns that `hubline convert boxes` writes."""
    said = {"kind": "class_and_box", "from": "box_labels", "box": "boxes", "image": "photo", "classes": CLASSES}
    return ClassAndBoxLabel.model_validate(said | settings)


def features(size: tuple[int, int] = (32, 32), **settings: Any) -> Features:
    """The image feature."""
    return {"photo": ImageFeature.model_validate({"kind": "image", "from": "image", "size": size} | settings)}


def rectangle(rng: np.random.Generator, height: int = 32, width: int = 32) -> tuple[np.ndarray, list[float], str]:
    """A black image, uint8 [height, width, 3], with a rectangle; its box as fractions, and its class, which is its
    colour."""
    tall, wide = (int(rng.integers(side // 4, side // 2 + 1)) for side in (height, width))
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1))
    channel = int(rng.integers(len(CLASSES)))
    pixels = np.zeros([height, width, 3], np.uint8)
    pixels[top : top + tall, left : left + wide, channel] = 255
    box = [top / height, left / width, (top + tall) / height, (left + wide) / width]
    return pixels, box, CLASSES[channel]


def record(pixels: np.ndarray, box: list[float], name: str, **more: Any) -> bytes:
    """A record as in `rectangles`."""
    image = example_data.image_bytes(pixels)
    return example_data.record(
        image=image, boxes=example_data.feature(*box), box_labels=example_data.feature(name), **more
    )


def rectangles(count: int, seed: int = 0) -> list[bytes]:
    """Records with such images."""
    rng = np.random.default_rng(seed)
    return [record(*rectangle(rng), turn=number % 2) for number in range(count)]


class Places(tf.Module):
    """Maps images, float32 [batch, 32, 32, 3], to a description of each of 8 by 8 locations, [batch, 192]."""

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32, name="images")])
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.nn.avg_pool2d(images, 4, 4, "VALID"), [-1, 192])


def module(path: Path) -> Path:
    """Saves `Places` as a hub module."""
    tf.saved_model.save(Places(), str(path))
    return path


def best_constant_iou(boxes: np.ndarray) -> float:
    """Approximate maximum of the mean IoU of a single box for all images: the best of some thousand."""
    rng = np.random.default_rng(0)
    tried = np.concatenate(
        [boxes, boxes.mean(axis=0, keepdims=True), np.sort(rng.random([4000, 2, 2]), 1).reshape(-1, 4)]
    )
    return float(max(iou(one, boxes).mean() for one in tried))


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """IoU of boxes, [..., 4], in NumPy."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    sides = np.minimum(one, other)[..., 2:] - np.maximum(one, other)[..., :2]
    common = np.maximum(sides, 0).prod(axis=-1)
    areas = [np.maximum(box[..., 2:] - box[..., :2], 0).prod(axis=-1) for box in (one, other)]
    return common / np.maximum(sum(areas) - common, 1e-12)
