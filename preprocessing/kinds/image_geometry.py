"""Where a part of an image, its boxes and its mask lie in the model's input image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubline.core.lazy_import import tf
from hubline.preprocessing.kinds.image_crop import fixed, middle

if TYPE_CHECKING:
    from hubline.preprocessing.kinds.image import ImageKind

_ENOUGH = 0.25
"""Minimum fraction of a box that must lie in the image for the box to count."""


def boxes(feature: ImageKind, shape: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Maps boxes from an image to the model's input image.

    Args:
        feature: Size and fit.
        shape: Shape of the upright image, int32 [height, width, ...].
        boxes: float32 [n, 4]: top, left, bottom and right, as fractions of the image's height and width.

    Returns:
        The boxes as fractions of `size`. Cropped parts lie below 0 or above 1; `clipped` cuts them off.
    """
    size = tf.cast(shape[:2], tf.float32)
    if feature.is_whole:
        return boxes
    if feature.has_window:
        part = window(feature, shape)
        top_left, lengths = tf.tile(tf.cast(part[:2], tf.float32), [2]), tf.tile(tf.cast(part[2:], tf.float32), [2])
        boxes, shape = (boxes * tf.tile(size, [2]) - top_left) / lengths, part[2:]
    if feature.size is None:
        return boxes
    place = tf.cast(placed(feature, shape), tf.float32)
    return (boxes * tf.tile(place[2:], [2]) + tf.tile(place[:2], [2])) / tf.constant(2 * feature.size, tf.float32)


def mask(feature: ImageKind, numbers: tf.Tensor, outside: int) -> tf.Tensor:
    """Maps a mask from an image to the model's input image by nearest-neighbour interpolation.

    Args:
        feature: Size and fit.
        numbers: Class numbers, uint8 [height, width, 1], of the image's size.
        outside: Value of padding.

    Returns:
        uint8 [height, width, 1] of the feature's size.
    """
    if feature.has_window:
        top, left, height, width = tf.unstack(window(feature, tf.shape(numbers)))
        numbers = numbers[top : top + height, left : left + width]
    top, left, *inner = tf.unstack(placed(feature, tf.shape(numbers)))
    if feature.fit != "crop_or_pad":
        numbers = tf.image.resize(numbers, inner, method="nearest")
    if feature.fit in ("pad", "crop_or_pad"):
        there = tf.image.pad_to_bounding_box(tf.ones_like(numbers), top, left, *feature.size) > 0
        numbers = tf.where(there, tf.image.pad_to_bounding_box(numbers, top, left, *feature.size), outside)
    return tf.ensure_shape(numbers, [*feature.size, 1])


def extent(feature: ImageKind, shape: tf.Tensor) -> tf.Tensor:
    """Where the image lies in the model's input image, between what `fit` pads; float32 [4]: top, left, bottom and
    right as fractions of `size`.

    Args:
        feature: Crop, size and fit.
        shape: Shape of the upright image, int32 [height, width, ...].
    """
    place = tf.cast(placed(feature, window(feature, shape)[2:]), tf.float32)
    return tf.concat([place[:2], place[:2] + place[2:]], axis=0) / tf.constant(2 * feature.size, tf.float32)


def clipped(boxes: tf.Tensor, extent: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """Clips boxes to the image.

    Args:
        boxes: float32 [n, 4]: top, left, bottom and right, as fractions of the image.
        extent: The part of the image to clip to, as returned by `extent`. Default: all of it.

    Returns:
        The clipped boxes, and whether at least a quarter of each box is left, bool [n].
    """
    begin, end = (0.0, 1.0) if extent is None else (tf.tile(extent[:2], [2]), tf.tile(extent[2:], [2]))
    inside = tf.clip_by_value(boxes, begin, end)

    def area(of: tf.Tensor) -> tf.Tensor:
        return (of[:, 2] - of[:, 0]) * (of[:, 3] - of[:, 1])

    return inside, (area(inside) > 0) & (area(inside) >= _ENOUGH * area(boxes))


def window(feature: ImageKind, shape: tf.Tensor) -> tf.Tensor:
    """The part of an image to decode: top, left, height and width, in pixels.

    Args:
        feature: Crop, size and fit.
        shape: Shape of the image, int32 [height, width, ...].
    """
    if feature.central_crop is not None:
        part = middle(feature.central_crop, shape)
    elif feature.crop_box is not None:
        part = fixed(feature.crop_box, shape)
    else:
        part = tf.concat([[0, 0], shape[:2]], axis=0)
    if not feature.fits_by_cropping:
        return part
    inner = _centred(feature, part[2:])
    return tf.concat([part[:2] + inner[:2], inner[2:]], axis=0)


def _centred(feature: ImageKind, shape: tf.Tensor) -> tf.Tensor:
    """The centred window that `fit` leaves of an image: top, left, height and width, in pixels.

    With `fit: crop`, the largest window with the aspect ratio of `size`; otherwise a window no larger than `size`.

    Args:
        feature: Size and fit.
        shape: Shape of the image, int32 [height, width, ...].
    """
    height, width = feature.size
    if feature.fit == "crop":  # in integers: with floats an exact fit can come out one pixel short
        height, width = shape[1] * height // width, shape[0] * width // height
    height, width = (tf.clip_by_value(most, 1, here) for most, here in ((height, shape[0]), (width, shape[1])))
    return tf.stack([(shape[0] - height) // 2, (shape[1] - width) // 2, height, width])


def placed(feature: ImageKind, shape: tf.Tensor) -> tf.Tensor:
    """The position of the decoded image in the model's input image: top, left, height and width, in pixels.

    Args:
        feature: Size and fit.
        shape: Shape of the decoded image, int32 [height, width, ...].
    """
    height, width = feature.size
    if feature.fit == "crop_or_pad":
        return tf.stack([(height - shape[0]) // 2, (width - shape[1]) // 2, shape[0], shape[1]])
    if feature.fit != "pad":
        return tf.constant([0, 0, height, width])
    # Like tf.image.resize_with_pad, but in integers.
    top = tf.maximum((height * shape[1] - width * shape[0]) // (2 * shape[1]), 0)
    left = tf.maximum((width * shape[0] - height * shape[1]) // (2 * shape[0]), 0)
    inner = tf.stack([shape[0] * width // shape[1], shape[1] * height // shape[0]])
    return tf.concat([[top, left], tf.clip_by_value(inner, 1, feature.size)], axis=0)
