"""Masks of a `pixels` label: whether they are valid, and how they are mapped to the model's input."""

from __future__ import annotations

from hubline.core.errors import tensorflow_reason
from hubline.core.lazy_import import tf
from hubline.preprocessing.kinds import image_geometry as geometry
from hubline.preprocessing.kinds.image import ImageKind
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.mask_files import numbers

LEFT_OUT = 255
"""Number in decoded masks for pixels that training and evaluation ignore; no class has it."""

_SHOWN = 5
_LIFT = 1e-3
"""In pixels: above the rounding error of float32 coordinates for images of up to some 8,000 pixels."""


def fitted(label: PixelsLabel, feature: ImageKind, encoded: tf.Tensor) -> tf.Tensor:
    """One mask, mapped to the model's input image.

    Args:
        label: The label, for its classes.
        feature: How the image is fitted.
        encoded: A scalar string.

    Returns:
        uint8 of the feature's size, [height, width, 1]: class numbers and `LEFT_OUT`.
    """
    return geometry.mask(feature, _of_classes(label, numbers(encoded)), LEFT_OUT)


def counts(label: PixelsLabel, encoded: tf.Tensor) -> tf.Tensor:
    """Pixels of each class in one mask, a scalar string; int64 [classes]."""
    numbered = tf.cast(tf.reshape(_of_classes(label, numbers(encoded)), [-1]), tf.int32)
    return tf.math.bincount(numbered, minlength=256, maxlength=256, dtype=tf.int64)[: len(label.classes)]


def seen(label: PixelsLabel, encoded: tf.Tensor, covers: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """One mask, mapped to the part of its image that a model's output covers.

    Args:
        label: The label, for its classes.
        encoded: A scalar string.
        covers: That part, float32 [4]: top, left, bottom and right as fractions of the image; may extend beyond it.
        size: Height and width of the model's output.

    Returns:
        uint8 [height, width, 1]: the class of the nearest pixel, and `LEFT_OUT` outside the image.
    """
    numbered = _of_classes(label, numbers(encoded))
    covers = tf.cast(covers, tf.float64)
    rows, rows_there = _nearest(covers[0], covers[2], size[0], tf.shape(numbered)[0])
    columns, columns_there = _nearest(covers[1], covers[3], size[1], tf.shape(numbered)[1])
    picked = tf.gather(tf.gather(numbered, rows), columns, axis=1)
    there = rows_there[:, tf.newaxis, tf.newaxis] & columns_there[tf.newaxis, :, tf.newaxis]
    return tf.ensure_shape(tf.where(there, picked, tf.constant(LEFT_OUT, tf.uint8)), [*size, 1])


def _nearest(begin: tf.Tensor, end: tf.Tensor, count: int, length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Pixels of an image, along one axis, that the centres of the output's pixels fall into, int32 [count], and which
    of these lie within the image. `begin` and `end` are fractions of `length`."""
    centres = begin + (tf.range(count, dtype=tf.float64) + 0.5) / count * (end - begin)
    # Coordinates are float32: a centre between two pixels is lifted into the second, as in TensorFlow's resizing.
    pixel = tf.cast(tf.floor(centres * tf.cast(length, tf.float64) + _LIFT), tf.int32)
    return tf.clip_by_value(pixel, 0, length - 1), (pixel >= 0) & (pixel < length)


def is_right(label: PixelsLabel, encoded: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Whether a mask has its image's size and contains only class numbers; `fault` says the same in words.

    Args:
        label: The label, for its classes.
        encoded: A scalar string.
        shape: Shape of the image, int32 [height, width, ...].

    Raises:
        tf.errors.InvalidArgumentError: if the mask cannot be decoded.
    """
    mask = numbers(encoded)
    return tf.reduce_all(tf.shape(mask)[:2] == shape[:2]) & ~tf.reduce_any(_of_no_class(label, mask))


def fault(label: PixelsLabel, encoded: bytes, shape: tf.Tensor) -> str | None:
    """What is wrong with a mask, in words, or None. Arguments as in `is_right`; eager only."""
    try:
        mask = numbers(encoded)
    except tf.errors.InvalidArgumentError as error:
        return f"its mask '{label.column}' does not decode: {tensorflow_reason(error)}"
    (high, wide), (height, width) = mask.shape[:2], shape.numpy()[:2]
    if (high, wide) != (height, width):
        sizes = f"{wide}x{high} pixels (width x height), and its picture, upright, {width}x{height}"
        return f"its mask '{label.column}' is {sizes}"
    strangers = tf.boolean_mask(mask, _of_no_class(label, mask)).numpy()
    if strangers.size:
        found = ", ".join(map(str, sorted(set(strangers.tolist()))[:_SHOWN]))
        ignored = "" if label.ignore is None else f", and {label.ignore} is of none"
        return (
            f"its mask '{label.column}' has numbers that no class has, such as {found}, in {strangers.size:,} pixels; "
            f"the classes have those from 0 to {len(label.classes) - 1}{ignored}"
        )
    return None


def _of_no_class(label: PixelsLabel, mask: tf.Tensor) -> tf.Tensor:
    numbers = tf.cast(mask, tf.int32)
    return (numbers >= len(label.classes)) & (numbers != (-1 if label.ignore is None else label.ignore))


def _of_classes(label: PixelsLabel, mask: tf.Tensor) -> tf.Tensor:
    """Replaces the number for pixels without a class with `LEFT_OUT`."""
    return mask if label.ignore is None else tf.where(mask == label.ignore, tf.constant(LEFT_OUT, tf.uint8), mask)
