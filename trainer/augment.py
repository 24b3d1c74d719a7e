"""Random augmentation of training images, together with their boxes and masks.

All geometric changes are composed into one matrix, so each image is interpolated only once. Colour changes follow, in
order.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import tensorflow as tf

from hubline.preprocessing.kinds.image_geometry import clipped
from hubline.trainer.config.augmentation import Augmentation, Window

Change: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
"""A change to images, float32 [..., height, width, channels] in [0, 1], that moves no pixels."""

Module: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""An augmenting hub module: maps one image, float32 [height, width, channels] in [0, 1], and a seed, int64 [2], to an
image of the same shape. If the module moves pixels, boxes and masks don't follow."""

_GREY = 0.5


@dataclass(frozen=True)
class ImageTransform:
    """The changes drawn for one image, to be applied to its pixels, its boxes and its mask alike."""

    height: int
    width: int
    matrix: tf.Tensor | None
    """Maps each point of the changed image to the point it comes from; float32 [3, 3] over (x, y, 1), in pixels from
    the upper left corner. None if no change moves pixels."""
    colours: tuple[Change, ...] = ()
    """Colour changes to apply afterwards, in order."""
    mirrors: bool = False
    """Whether the matrix only mirrors and transposes, so that nothing needs to be interpolated."""
    stays_inside: bool = False
    """Whether every point comes from within the image."""

    def image(self, pixels: tf.Tensor) -> tf.Tensor:
        """Changes an image. Uncovered places become black.

        Args:
            pixels: uint8 of shape [height, width, channels]. [..., height, width, channels] for several images that are
                changed alike, such as the frames of a clip.

        Returns:
            uint8 of the same shape.
        """
        if self.matrix is not None and self.mirrors:
            pixels = self._mirrored(pixels)
        if (self.matrix is None or self.mirrors) and not self.colours:
            return pixels
        unit = tf.cast(self._interpolated(pixels), tf.float32) / 255.0
        for change in self.colours:
            unit = tf.clip_by_value(change(unit), 0.0, 1.0)
        return tf.ensure_shape(tf.saturate_cast(tf.round(unit * 255.0), tf.uint8), pixels.shape)

    def _mirrored(self, pixels: tf.Tensor) -> tf.Tensor:
        """Pixels after a matrix whose linear part has one entry of 1 or -1 in each row."""
        assert self.matrix is not None
        if self.height == self.width:
            leading = list(range(pixels.shape.rank - 3))
            rows, columns, channels = (len(leading) + axis for axis in range(3))
            swapped = partial(tf.transpose, pixels, [*leading, columns, rows, channels])
            pixels = tf.cond(tf.abs(self.matrix[0, 1]) > 0.5, swapped, lambda same=pixels: same)
        # The sums are the signs, whether the matrix swaps x and y or not.
        for axis, sign in ((-2, tf.reduce_sum(self.matrix[:2, 0])), (-3, tf.reduce_sum(self.matrix[:2, 1]))):
            pixels = tf.cond(sign < 0, partial(tf.reverse, pixels, [axis]), lambda same=pixels: same)
        return pixels

    def _interpolated(self, pixels: tf.Tensor) -> tf.Tensor:
        """Pixels after the matrix, from 0 to 255. Up to half a pixel beyond the edge, the edge is repeated, because
        interpolation with black would darken it."""
        if self.matrix is None or self.mirrors:
            return pixels
        if self.stays_inside:
            return self._stretched(pixels)
        there = self._moved(tf.ones([self.height, self.width, 1]), "NEAREST", "CONSTANT")
        return self._moved(tf.cast(pixels, tf.float32), "BILINEAR", "NEAREST") * there

    def _stretched(self, pixels: tf.Tensor) -> tf.Tensor:
        """A faster implementation for matrices without rotation and transposition."""
        assert self.matrix is not None
        pictures = tf.reshape(pixels, [-1, *pixels.shape[-3:]])
        framed = tf.concat([pictures[:, :1], pictures, pictures[:, -1:]], axis=1)
        framed = tf.concat([framed[:, :, :1], framed, framed[:, :, -1:]], axis=2)
        size = tf.constant([self.height, self.width], tf.float32)
        scale = tf.stack([self.matrix[1, 1], self.matrix[0, 0]])
        begin = tf.stack([self.matrix[1, 2], self.matrix[0, 2]])
        # From the centre of the first pixel to that of the last, within the padded image, in the normalized coordinates
        # of crop_and_resize.
        first, last = (begin + scale * at + 0.5 for at in (0.5, size - 0.5))
        box = tf.concat([first, last], axis=0) / tf.tile(size + 1.0, [2])
        count = tf.shape(pictures)[0]
        boxes = tf.tile(box[tf.newaxis], [count, 1])
        stretched = tf.image.crop_and_resize(framed, boxes, tf.range(count), [self.height, self.width])
        return tf.reshape(stretched, tf.shape(pixels))

    def boxes(self, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The bounding boxes of the transformed corners, clipped to the image.

        Args:
            boxes: float32 of shape [n, 4]: top, left, bottom and right as fractions of height and width.

        Returns:
            The boxes in the changed image, in [0, 1], and whether at least a quarter of each box lies within it, bool
            [n].
        """
        if self.matrix is not None:
            size = tf.constant([self.width, self.height], tf.float32)
            top, left, bottom, right = tf.unstack(boxes, axis=1)
            corners = tf.stack([[left, top], [right, top], [left, bottom], [right, bottom]])  # [4, 2, n]
            there = tf.linalg.inv(self.matrix)
            x_y = tf.einsum("ij,cjn->cin", there[:2, :2], corners * size[:, tf.newaxis]) + there[:2, 2:]
            x_y /= size[:, tf.newaxis]
            (left, top), (right, bottom) = tf.unstack(tf.reduce_min(x_y, 0)), tf.unstack(tf.reduce_max(x_y, 0))
            boxes = tf.stack([top, left, bottom, right], axis=1)
        return clipped(boxes)

    def mask(self, mask: tf.Tensor, fill: int = 0) -> tf.Tensor:
        """Transforms a mask by nearest-neighbour interpolation.

        Args:
            mask: uint8 of shape [height, width, 1].
            fill: Value of uncovered places.

        Returns:
            uint8 of the same shape.
        """
        return mask if self.matrix is None else self._moved(mask, "NEAREST", "CONSTANT", fill)

    def _moved(self, pixels: tf.Tensor, interpolation: str, fill_mode: str, fill: float = 0.0) -> tf.Tensor:
        # TensorFlow's coordinates start at the centre of the first pixel.
        middle = tf.constant([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        corner = tf.constant([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
        moved = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.reshape(pixels, [-1, *pixels.shape[-3:]]),
            transforms=tf.reshape(corner @ self.matrix @ middle, [1, 9])[:, :8],
            output_shape=[self.height, self.width],
            fill_value=fill,
            interpolation=interpolation,
            fill_mode=fill_mode,
        )
        return tf.reshape(moved, tf.shape(pixels))


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
