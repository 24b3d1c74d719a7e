"""Arithmetic without loss of precision before the last step: integers stay int64, all other numbers are float64."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

Constant: TypeAlias = int | float

_HALF = 1 << 32
_SAFE = float(2**63 - 2**13)
"""If float64 computes less than this, the exact result is below 2^63: sums and products are off by less than 2^12
here."""


def wide(values: tf.Tensor) -> tf.Tensor:
    """The numbers as int64 or float64."""
    return tf.cast(values, tf.int64 if values.dtype.is_integer else tf.float64)


def minus(values: tf.Tensor | np.ndarray, origin: tf.Tensor | np.ndarray) -> Any:
    """Differences between numbers and an origin, float64.

    int64 is subtracted in upper and lower halves, so that nothing overflows and results below 2^53 are exact.

    Args:
        values: NumPy or TensorFlow, int64 or float64, as `origin` is; broadcastable with its shape.
        origin: The subtrahend.
    """
    if not _is_whole(values) or not _is_whole(origin):
        return _float64(values) - _float64(origin)
    upper, lower = values // _HALF - origin // _HALF, values % _HALF - origin % _HALF
    return _float64(upper) * float(_HALF) + _float64(lower)


def _is_whole(values: tf.Tensor | np.ndarray) -> bool:
    return values.dtype.is_integer if tf.is_tensor(values) else np.issubdtype(values.dtype, np.integer)


def _float64(values: tf.Tensor | np.ndarray) -> Any:
    return tf.cast(values, tf.float64) if tf.is_tensor(values) else values.astype(np.float64)


def constant(value: Constant) -> tf.Tensor:
    """A number as int64 if it is an integer that fits, otherwise as float64."""
    whole = _whole(value)
    return tf.constant(float(value), tf.float64) if whole is None else tf.constant(whole, tf.int64)


def least_whole(bound: Constant) -> int:
    """The smallest int64 that is at least `bound`; the largest int64 if there is none."""
    return min(max(math.ceil(bound), tf.int64.min), tf.int64.max)


def exceeds(values: tf.Tensor, bound: Constant) -> tf.Tensor:
    """Which numbers, int64 or float32, exceed a bound. For floats the bound is rounded to float32 too."""
    return NumberColumn.of(values) > bound


def _whole(value: Constant) -> int | None:
    is_whole = isinstance(value, int) or value.is_integer()
    return int(value) if is_whole and tf.int64.min <= value <= tf.int64.max else None


@dataclass(frozen=True, eq=False)
class NumberColumn:
    """A column of numbers for calculations and comparisons.

    Sums, differences and products of integers are exact within int64 and float64 beyond it; nothing wraps around.
    Quotients and everything with a fraction are float64.
    """

    near: tf.Tensor
    """The numbers as float64."""
    whole: tf.Tensor | None = None
    """The same as int64, if all are integers."""
    fits: tf.Tensor | bool = True
    """Where `whole` has not overflowed."""
    is_short: bool = False
    """Whether the column is float32. Numbers that it is compared with are rounded to float32 too, so that a 0.1 in the
    data equals 0.1."""

    @classmethod
    def of(cls, values: tf.Tensor) -> NumberColumn:
        """Wraps a column, int64 or float32."""
        is_whole = values.dtype.is_integer
        return cls(tf.cast(values, tf.float64), tf.cast(values, tf.int64) if is_whole else None, is_short=not is_whole)

    def __neg__(self) -> NumberColumn:
        if self.whole is None:
            return NumberColumn(-self.near, is_short=self.is_short)
        return 0 - self

    def __add__(self, other: NumberColumn | Constant) -> NumberColumn:
        return self._calculated(operator.add, other)

    def __radd__(self, other: Constant) -> NumberColumn:
        return self + other

    def __sub__(self, other: NumberColumn | Constant) -> NumberColumn:
        return self._calculated(operator.sub, other)

    def __rsub__(self, other: Constant) -> NumberColumn:
        return _numbers(other) - self

    def __mul__(self, other: NumberColumn | Constant) -> NumberColumn:
        return self._calculated(operator.mul, other)

    def __rmul__(self, other: Constant) -> NumberColumn:
        return self * other

    def __truediv__(self, other: NumberColumn | Constant) -> NumberColumn:
        return NumberColumn(self.near / _numbers(other).near)

    def __rtruediv__(self, other: Constant) -> NumberColumn:
        return _numbers(other) / self

    def __lt__(self, other: NumberColumn | Constant) -> tf.Tensor:
        return self._compared(operator.lt, other)

    def __le__(self, other: NumberColumn | Constant) -> tf.Tensor:
        return self._compared(operator.le, other)

    def __gt__(self, other: NumberColumn | Constant) -> tf.Tensor:
        return self._compared(operator.gt, other)

    def __ge__(self, other: NumberColumn | Constant) -> tf.Tensor:
        return self._compared(operator.ge, other)

    def __eq__(self, other: NumberColumn | Constant) -> tf.Tensor:  # type: ignore[override]
        return self._compared(tf.equal, other)

    def __ne__(self, other: NumberColumn | Constant) -> tf.Tensor:  # type: ignore[override]
        return self._compared(tf.not_equal, other)

    def _calculated(self, operation: Callable[[Any, Any], Any], given: NumberColumn | Constant) -> NumberColumn:
        other = _numbers(given)
        near = operation(self.near, other.near)
        if self.whole is None or other.whole is None:
            return NumberColumn(near)
        whole = operation(self.whole, other.whole)
        fits = tf.logical_and(self.fits, other.fits) & (tf.abs(near) < _SAFE)
        return NumberColumn(tf.where(fits, tf.cast(whole, tf.float64), near), whole, fits)

    def _compared(self, comparison: Callable[[Any, Any], tf.Tensor], given: NumberColumn | Constant) -> tf.Tensor:
        other = _numbers(given, self.is_short)
        near = comparison(self.near, other.near)
        if self.whole is None or other.whole is None:
            return near
        return tf.where(tf.logical_and(self.fits, other.fits), comparison(self.whole, other.whole), near)


def _numbers(given: NumberColumn | Constant, is_short: bool = False) -> NumberColumn:
    if isinstance(given, NumberColumn):
        return given
    with np.errstate(over="ignore"):  # numbers beyond float32 become infinite
        near = float(np.float32(given) if is_short else given)
    whole = _whole(given)
    return NumberColumn(tf.constant(near, tf.float64), None if whole is None else tf.constant(whole, tf.int64))
