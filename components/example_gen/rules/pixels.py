"""The rules of images that records hold as pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubline.components.example_gen.records import count_fault, number_type, values_of
from hubline.components.example_gen.rules.rule import Rule, single
from hubline.preprocessing.kinds.stored_pixels import PixelNumbers, Pixels, RawPixels


def pixel_rule(column: str, stored: Pixels) -> Rule:
    """The rule of a column of pixels."""
    if isinstance(stored, RawPixels):
        return RawPixelsRule(column, stored)
    assert isinstance(stored, PixelNumbers)
    return PixelNumbersRule(column, stored)


@dataclass(frozen=True)
class RawPixelsRule(Rule):
    """A column has the raw bytes of one image of the stated size, with values in range."""

    column: str
    stored: RawPixels

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """Bytes."""
        return {self.column: tf.string}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count, the size and the values."""
        images = parsed[self.column]
        return single(images, self._are_right(images.values))

    def _are_right(self, images: tf.Tensor) -> tf.Tensor:
        have_size = tf.strings.length(images) == self.stored.size
        whole = tf.where(have_size, images, b"\0" * self.stored.size)
        return have_size & tf.reduce_all(self.stored.are_in_range(self.stored.values(whole)), axis=1)

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the count, the type, the size and the values."""
        if fault := count_fault(columns, self.column, "image"):
            return fault
        (image,) = values_of(columns, self.column)
        what, stored = f"its image '{self.column}'", self.stored
        if not isinstance(image, bytes):
            return f"{what} is a number; it must be raw bytes, {stored}"
        if len(image) != stored.size:
            return f"{what} has {len(image)} bytes; {stored} needs {stored.size}"
        if not bool(self._are_right(tf.constant([image]))[0]):
            return _range_fault(what, stored, stored.values(tf.constant([image]))[0])
        return None


@dataclass(frozen=True)
class PixelNumbersRule(Rule):
    """A column has as many numbers as an image of the stated size, in range."""

    column: str
    stored: PixelNumbers

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """The dtype of this file."""
        return {self.column: tf.as_dtype(known[self.column])}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count and the values."""
        numbers = parsed[self.column]
        in_range = tf.reduce_all(numbers.with_values(self.stored.are_in_range(numbers.values)), axis=1)
        return (numbers.row_lengths() == self.stored.count) & in_range

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the type, the count and the values."""
        name, stored = self.column, self.stored
        what, values = f"its image '{name}'", values_of(columns, self.column)
        if not values:
            return count_fault(columns, name, "image")
        if isinstance(values[0], bytes):
            return f"{what} is bytes; it must be {stored.count} numbers"
        if number_type(columns[name]) != known.get(name, number_type(columns[name])):
            return f"{what} has {number_type(columns[name])} values, and those before it have {known[name]}"
        if len(values) != stored.count:
            return f"{what} has {len(values)} numbers; {[*stored.shape]} pixels need {stored.count}"
        return _range_fault(what, stored, stored.column_of(values)[0])


def _range_fault(what: str, stored: Pixels, numbers: tf.Tensor) -> str | None:
    """The first value that is out of range, in words; None if there is none.

    Args:
        what: The image, for the message.
        stored: The range.
        numbers: The image's values, [count].
    """
    outside = tf.boolean_mask(numbers, ~stored.are_in_range(numbers))
    if not int(tf.size(outside)):
        return None
    black, white = stored.limits
    value: Any = outside[0].numpy()
    return f"{what} has the value {value:g}, outside its range, {black:g} to {white:g}"
