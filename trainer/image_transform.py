"""The changes to one image, applied to its pixels, its boxes and its mask alike.

All geometric changes are composed into one matrix, so each image is interpolated only once. Colour changes follow, in
order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import tensorflow as tf

from hubline.preprocessing.kinds.image_geometry import clipped

Change: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
"""A change to images, float32 [..., height, width, channels] in [0, 1], that moves no pixels."""


@dataclass(frozen=True)
class ImageTransform:
    """The changes to one image of a known size."""

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
