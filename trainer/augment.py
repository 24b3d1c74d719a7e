"""Random augmentation of training images, together with their boxes and masks."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf

from hubline.trainer.config.augmentation import Augmentation, Window
from hubline.trainer.image_transform import Change, ImageTransform

Module: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""An augmenting hub module: maps one image, float32 [height, width, channels] in [0, 1], and a seed, int64 [2], to an
image of the same shape. If the module moves pixels, boxes and masks don't follow."""

_GREY = 0.5


def drawn(
    augment: Sequence[Augmentation],
    height: int,
    width: int,
    seed: tf.Tensor,
    modules: Mapping[str, Module] | None = None,
    boxes: tf.Tensor | None = None,
) -> ImageTransform:
    """Draws the changes for one image.

    Args:
        augment: The augmentations. Mixup is skipped because it works on batches.
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        seed: int64 of shape [2]. The same seed gives the same changes.
        modules: The hub modules that augment this image, by name in `hubs`. Others in `augment` are skipped.
        boxes: Boxes in this image that random windows cover as far as `min_object_covered` says, float32 [n, 4]. Boxes
            without area don't count.

    Returns:
        The changes, for the image, its boxes and its mask.
    """
    matrix: tf.Tensor | None = None
    colours: list[Change] = []
    for number, change in enumerate(augment):
        if change.moves:
            there = None if boxes is None else ImageTransform(height, width, matrix).boxes(boxes)[0]
            moved = _moved(change, height, width, seed + number, there)
            # The matrix maps points backwards, so the last change comes first.
            matrix = moved if matrix is None else matrix @ moved
        elif change.hub is not None:
            if modules and change.hub in modules:
                colours.append(_seeded(modules[change.hub], seed + number))
        elif change.mixup is None:
            colours.append(_coloured(change, height, width, seed + number))
    moves = [change for change in augment if change.moves]
    return ImageTransform(
        height,
        width,
        matrix,
        tuple(colours),
        mirrors=all(change.flip_left_right or change.flip_up_down or change.transpose for change in moves),
        stays_inside=not any(change.rotate or change.transpose for change in moves),
    )


def augmented(
    augment: Sequence[Augmentation],
    image: tf.Tensor,
    seed: tf.Tensor,
    modules: Mapping[str, Module] | None = None,
) -> tf.Tensor:
    """Augments one image. All frames of a clip are changed alike.

    Args:
        augment: The augmentations, in order.
        image: uint8 of shape [..., height, width, channels].
        seed: int64 of shape [2]. The same seed gives the same image.
        modules: As in `drawn`.

    Returns:
        uint8 of the same shape.
    """
    height, width = image.shape[-3:-1]
    return drawn(augment, height, width, seed, modules).image(image)


def _moved(change: Augmentation, height: int, width: int, seed: tf.Tensor, boxes: tf.Tensor | None) -> tf.Tensor:
    """The matrix of a geometric change; `boxes` are those of the image as it is before the change."""
    if change.flip_left_right or change.flip_up_down:
        sign = tf.where(tf.random.stateless_uniform([], seed) < 0.5, -1.0, 1.0)
        return _about_the_middle(height, width, [[sign, 0], [0, 1]] if change.flip_left_right else [[1, 0], [0, sign]])
    if change.transpose:
        swaps = tf.where(tf.random.stateless_uniform([], seed) < 0.5, 1.0, 0.0)
        return _about_the_middle(height, width, [[1 - swaps, swaps], [swaps, 1 - swaps]])
    if change.rotate is not None:
        angle = tf.random.stateless_uniform([], seed, -1.0, 1.0) * (change.rotate * (math.pi / 180))
        cos, sin = tf.cos(angle), tf.sin(angle)
        return _about_the_middle(height, width, [[cos, -sin], [sin, cos]])
    if isinstance(change.crop, Window):
        return _window(*_sampled(change.crop, height, width, seed, boxes), height, width)
    assert change.crop is not None
    share, top, left = tf.unstack(tf.random.stateless_uniform([3], seed))
    size = 1.0 - change.crop * share
    begin = tf.stack([top * height, left * width]) * (1.0 - size)
    return _window(begin, tf.stack([size * height, size * width]), height, width)


def _about_the_middle(height: int, width: int, linear: Sequence[Sequence]) -> tf.Tensor:
    """Extends a linear map [2, 2] of (x, y) to a matrix that keeps the centre of the image in place."""
    middle = tf.constant([[width / 2], [height / 2]])
    linear = tf.convert_to_tensor([[tf.cast(value, tf.float32) for value in row] for row in linear])
    return tf.concat([tf.concat([linear, middle - linear @ middle], axis=1), [[0.0, 0.0, 1.0]]], axis=0)


def _window(begin: tf.Tensor, size: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The matrix that stretches a window, given as (top, left) and (height, width) in pixels, over the whole image."""
    down, across = tf.unstack(size / tf.constant([height, width], tf.float32))
    return tf.convert_to_tensor([[across, 0.0, begin[1]], [0.0, down, begin[0]], [0.0, 0.0, 1.0]])


def _sampled(
    window: Window, height: int, width: int, seed: tf.Tensor, boxes: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """A random window as (top, left) and (height, width) in pixels. The whole image if no window was found."""
    objects, covered = tf.zeros([0, 4]), tf.constant(0.0)
    if boxes is not None and window.min_object_covered > 0:
        size = boxes[:, 2:] - boxes[:, :2]
        objects = tf.boolean_mask(boxes, tf.reduce_all(size > 0, axis=1))
        # Without boxes, TensorFlow would take the whole image for the object.
        covered = tf.where(tf.shape(objects)[0] > 0, window.min_object_covered, 0.0)
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        [height, width, 1],
        objects[tf.newaxis],
        seed,
        min_object_covered=covered,
        aspect_ratio_range=window.aspect_ratio,
        area_range=window.area,
        use_image_if_no_bounding_boxes=True,
    )
    whole = tf.constant([height, width])
    size = tf.where(size[:2] < 0, whole, size[:2])
    return tf.cast(begin[:2], tf.float32), tf.cast(size, tf.float32)


def _coloured(change: Augmentation, height: int, width: int, seed: tf.Tensor) -> Change:
    """A change that moves no pixels."""
    if change.brightness is not None:
        by = tf.random.stateless_uniform([], seed, -change.brightness, change.brightness)
        return lambda images: tf.image.adjust_brightness(images, by)
    if change.contrast is not None:
        factor = tf.random.stateless_uniform([], seed, 1.0 - change.contrast, 1.0 + change.contrast)
        return lambda images: tf.image.adjust_contrast(images, factor)
    if change.saturation is not None:
        factor = tf.random.stateless_uniform([], seed, 1.0 - change.saturation, 1.0 + change.saturation)
        return _of_colours(lambda images: tf.image.adjust_saturation(images, factor))
    if change.hue is not None:
        by = tf.random.stateless_uniform([], seed, -change.hue, change.hue)
        return _of_colours(lambda images: tf.image.adjust_hue(images, by))
    assert change.cutout is not None
    hole = _square(change.cutout, height, width, seed)
    return lambda images: tf.where(hole, _GREY, images)


def _seeded(module: Module, seed: tf.Tensor) -> Change:
    return lambda image: module(image, seed)


def _of_colours(change: Change) -> Change:
    """Skips greyscale images, which have neither hue nor saturation."""
    return lambda images: change(images) if images.shape[-1] == 3 else images


def _square(most: float, height: int, width: int, seed: tf.Tensor) -> tf.Tensor:
    """The area of a random square within the image, bool [height, width, 1]."""
    share, top, left = tf.unstack(tf.random.stateless_uniform([3], seed))
    side = tf.round(most * share * min(height, width))
    top, left = tf.round(top * (height - side)), tf.round(left * (width - side))
    rows, columns = tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32)
    down = (rows >= top) & (rows < top + side)
    across = (columns >= left) & (columns < left + side)
    return (down[:, tf.newaxis] & across)[..., tf.newaxis]
