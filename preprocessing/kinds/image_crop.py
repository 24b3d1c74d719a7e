"""The part of each image that a feature uses: its middle, or a fixed box."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf

Edge = Annotated[float, Field(ge=0.0)]


class CropBox(Section):
    """A box in the upright image."""

    top: Edge = Field(examples=[0.25])
    """Distance of the box's top edge from the top of the image."""
    left: Edge = Field(examples=[0.0])
    """Distance of its left edge from the left of the image."""
    bottom: Edge = Field(examples=[1.0])
    """Distance of its bottom edge from the top of the image."""
    right: Edge = Field(examples=[1.0])
    """Distance of its right edge from the left of the image."""
    units: Literal["shares", "pixels"] = "shares"
    """Units of the edges: `shares` of the image's height and width, from 0 to 1, rounded to whole pixels; or `pixels`.
    A box in pixels must lie within every image: an image that is smaller counts as undecodable."""

    @model_validator(mode="after")
    def _is_a_box(self) -> CropBox:
        if self.top >= self.bottom or self.left >= self.right:
            raise ValueError(
                "top must be above bottom, and left of right: "
                f"got top {self.top:g}, left {self.left:g}, bottom {self.bottom:g}, right {self.right:g}"
            )
        edges = (self.top, self.left, self.bottom, self.right)
        if self.units == "shares" and max(edges) > 1:
            raise ValueError("the edges are shares of the image, from 0 to 1; for pixels, set units: pixels")
        if self.units == "pixels" and any(edge != int(edge) for edge in edges):
            raise ValueError("the edges are whole pixels; for shares of the image, leave units out")
        return self


def middle(share: float, shape: tf.Tensor) -> tf.Tensor:
    """The central part of an image, computed like `tf.image.central_crop`.

    Args:
        share: Fraction of height and of width to keep.
        shape: Shape of the upright image, int32 [height, width, ...].

    Returns:
        Top, left, height and width in pixels, int32 [4].
    """
    size = tf.cast(shape[:2], tf.float64)
    begin = tf.cast((size - size * share) / 2, tf.int32)
    return tf.concat([begin, shape[:2] - 2 * begin], axis=0)


def fixed(box: CropBox, shape: tf.Tensor) -> tf.Tensor:
    """A box as top, left, height and width in pixels, int32 [4]; at least one pixel high and wide.

    Args:
        box: The box.
        shape: Shape of the upright image, int32 [height, width, ...].

    Raises:
        tf.errors.InvalidArgumentError: if a box in pixels extends beyond the image.
    """
    size = shape[:2]
    if box.units == "shares":
        sides = tf.cast(size, tf.float64)
        begin = tf.cast(tf.round(sides * tf.constant([box.top, box.left], tf.float64)), tf.int32)
        end = tf.cast(tf.round(sides * tf.constant([box.bottom, box.right], tf.float64)), tf.int32)
        begin = tf.minimum(begin, size - 1)
        return tf.concat([begin, tf.maximum(end - begin, 1)], axis=0)
    top, left, bottom, right = (int(edge) for edge in (box.top, box.left, box.bottom, box.right))
    message = f"the image is smaller than its crop_box, which ends at {bottom} x {right} pixels; height and width are"
    is_inside = tf.debugging.Assert(tf.reduce_all(size >= [bottom, right]), [message, size])
    with tf.control_dependencies([is_inside] if is_inside is not None else []):  # eagerly, the assertion is None
        return tf.identity(tf.constant([top, left, bottom - top, right - left]))
