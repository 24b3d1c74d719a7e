"""Images that records hold as pixels: as raw bytes, or as a list of numbers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf
from hubline.preprocessing.column_type import ColumnType

if TYPE_CHECKING:
    from hubline.preprocessing.kinds.kind import Values

Axis = Literal["height", "width", "channels"]
AXES: tuple[Axis, Axis, Axis] = ("height", "width", "channels")
_Side = Annotated[int, Field(ge=1, le=8192)]


class Pixels(Section):
    """Base of the ways to store pixels. All of an image's values have one column, without a header."""

    takes: ClassVar[tuple[ColumnType, ...]]
    """Types of raw column."""

    kind: str
    shape: tuple[_Side, _Side, Literal[1, 3]] = Field(examples=[[32, 32, 3]])
    """Height, width and channels of every image: 1 channel for greyscale, 3 for RGB."""
    order: tuple[Axis, Axis, Axis] = AXES
    """Axes from the slowest to the fastest: [channels, height, width] for images that are stored plane by plane, as in
    the binary version of CIFAR-10."""
    value_range: tuple[float, float] | None = Field(default=None, alias="range", examples=[[-0.5, 0.5]])
    """The stored values of black and white; records with values outside are bad. Values in between are rounded to 8
    bits. Default: all values of an unsigned integer `dtype`; everything else has none."""

    @field_validator("order")
    @classmethod
    def _each_axis_once(cls, order: tuple[Axis, Axis, Axis]) -> tuple[Axis, Axis, Axis]:
        if sorted(order) != sorted(AXES):
            raise ValueError(f"must name height, width and channels once each; got {', '.join(order)}")
        return order

    @field_validator("value_range")
    @classmethod
    def _has_two_ends(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and value[0] == value[1]:
            raise ValueError(f"black and white must differ; got [{value[0]:g}, {value[1]:g}]")
        return value

    @property
    def limits(self) -> tuple[float, float]:
        """The stored values of black and white."""
        assert self.value_range is not None
        return self.value_range

    @property
    def count(self) -> int:
        """Values per image."""
        return math.prod(self.shape)

    @abstractmethod
    def numbers(self, column: Values) -> tf.Tensor:
        """The values of a parsed column with one image per record, [batch, count].

        Raises:
            tf.errors.InvalidArgumentError: if an image has another number of values.
        """

    @abstractmethod
    def column_of(self, values: Sequence[Any]) -> tf.Tensor:
        """The column of a single record, parsed, from its values in Python."""

    def encoded(self, column: Values) -> tf.Tensor:
        """The images of a parsed column as uncompressed PNGs, string [batch], so that all else is as for image files.

        Raises:
            tf.errors.InvalidArgumentError: if an image has another number of values, or values outside the range.
        """
        numbers = self.numbers(column)
        black, white = self.limits
        message = f"the image has values outside its range, {black:g} to {white:g}"
        are_valid = tf.debugging.Assert(tf.reduce_all(self.are_in_range(numbers)), [message])
        with tf.control_dependencies([are_valid] if are_valid is not None else []):  # eagerly, it is None
            grey = tf.cast(tf.round(self._greys(numbers)), tf.uint8)
        sides = dict(zip(AXES, self.shape, strict=True))
        stored = tf.reshape(grey, [-1, *(sides[axis] for axis in self.order)])
        images = tf.transpose(stored, [0, *(1 + self.order.index(axis) for axis in AXES)])
        return tf.io.encode_png(images, compression=0)

    def are_in_range(self, numbers: tf.Tensor) -> tf.Tensor:
        """Whether values become 8-bit pixels, bool of the same shape; False for NaN. Values that round to black or
        white are in range."""
        greys = self._greys(numbers)
        return (greys >= -0.5) & (greys <= 255.5)

    def _greys(self, numbers: tf.Tensor) -> tf.Tensor:
        """Values scaled to 0 for black and 255 for white, float32, not rounded."""
        black, white = self.limits
        return (tf.cast(numbers, tf.float32) - black) * (255.0 / (white - black))


class RawPixels(Pixels):
    """Pixels as raw bytes, in a bytes column."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("bytes",)

    kind: Literal["raw"]
    dtype: Literal["uint8", "uint16", "int8", "int16", "int32", "float16", "float32", "float64"] = "uint8"
    """Type of each value."""
    byte_order: Literal["little", "big"] = "little"
    """Byte order of values of several bytes."""

    @model_validator(mode="after")
    def _has_limits(self) -> RawPixels:
        if self.value_range is None and self.dtype not in ("uint8", "uint16"):
            raise ValueError(f"set `range` to the values of black and white: {self.dtype} has none of its own")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        return self.value_range or (0.0, float(np.iinfo(self.dtype).max))

    @property
    def size(self) -> int:
        """Bytes per image."""
        return self.count * np.dtype(self.dtype).itemsize

    def numbers(self, column: Values) -> tf.Tensor:
        from hubline.preprocessing.columns import one_each

        images = one_each(column)
        message = f"an image of raw pixels, {self}, must have {self.size} bytes; the sizes are"
        sizes = tf.strings.length(images)
        have_size = tf.debugging.Assert(tf.reduce_all(sizes == self.size), [message, sizes])
        with tf.control_dependencies([have_size] if have_size is not None else []):
            return self.values(images)

    def values(self, images: tf.Tensor) -> tf.Tensor:
        """The values of images of the right size, string [n], as [n, count]."""
        decoded = tf.io.decode_raw(images, self.dtype, little_endian=self.byte_order == "little")
        return tf.reshape(decoded, [-1, self.count])

    def column_of(self, values: Sequence[Any]) -> tf.Tensor:
        return tf.constant(list(values), tf.string)

    def __str__(self) -> str:
        """For example `uint8 [32, 32, 3]`."""
        return f"{self.dtype} {[*self.shape]}"


class PixelNumbers(Pixels):
    """Pixels as a list of numbers, in a column of floats or integers."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "float")

    kind: Literal["numbers"]

    @model_validator(mode="after")
    def _has_limits(self) -> PixelNumbers:
        if self.value_range is None:
            raise ValueError("set `range` to the values of black and white, such as [0, 255] or [-0.5, 0.5]")
        return self

    def numbers(self, column: Values) -> tf.Tensor:
        if isinstance(column, tf.SparseTensor):
            batch, flat = column.dense_shape[0], column.values
            counts = tf.math.bincount(tf.cast(column.indices[:, 0], tf.int32), minlength=tf.cast(batch, tf.int32))
        else:
            batch, flat = tf.shape(column, tf.int64)[0], tf.reshape(column, [-1])
            counts = tf.fill([batch], tf.size(flat) // tf.maximum(tf.cast(batch, tf.int32), 1))
        message = f"an image of {[*self.shape]} pixels must have {self.count} numbers; the counts are"
        have_count = tf.debugging.Assert(tf.reduce_all(counts == self.count), [message, counts])
        with tf.control_dependencies([have_count] if have_count is not None else []):
            return tf.reshape(flat, [batch, self.count])

    def column_of(self, values: Sequence[Any]) -> tf.Tensor:
        numbers = list(values)
        return tf.constant([numbers], tf.int64 if all(isinstance(each, int) for each in numbers) else tf.float32)


Stored = Annotated[RawPixels | PixelNumbers, Field(discriminator="kind")]
"""Any way to store pixels, discriminated by `kind`."""
