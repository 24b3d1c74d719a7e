"""Coefficient of determination, as a Keras metric."""

import math
from typing import Any

import tensorflow as tf

from hubline.core.float64 import from_parts


class R2(tf.keras.metrics.Metric):
    """Fraction of the labels' variance that the predictions explain.

    Keras has its own, but TFMA cannot merge its partial results: its state has no shape before the first batch. The
    state here consists of sums in double precision, of distances from a centre: variance is a small difference of large
    sums, and cancels out if the values are far larger than their spread.
    """

    def __init__(self, name: str = "r2", centre: float = 0.0, dtype: str = "float64") -> None:
        """Args:
        name: The metric's name.
        centre: A typical value of the labels; must be the same for all partial results that are merged.
        dtype: Of the sums.
        """
        super().__init__(name=name, dtype=dtype)
        self._centre = centre
        self._count, self._sum, self._squares, self._residual = (
            self.add_weight(name, initializer="zeros") for name in ("count", "sum", "squares", "residual")
        )

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts labels and predictions, both in the format of `float64.to_parts`, [batch, PARTS]."""
        true, predicted = (from_parts(values) for values in (y_true, y_pred))
        weights = tf.ones_like(true) if sample_weight is None else tf.cast(tf.reshape(sample_weight, [-1]), self.dtype)
        apart = true - self._centre
        self._count.assign_add(tf.reduce_sum(weights))
        self._sum.assign_add(tf.reduce_sum(weights * apart))
        self._squares.assign_add(tf.reduce_sum(weights * apart**2))
        self._residual.assign_add(tf.reduce_sum(weights * (true - predicted) ** 2))

    def result(self) -> tf.Tensor:
        """R²; NaN if all labels are equal, as there is no variance to explain."""
        variance = self._squares - tf.math.divide_no_nan(self._sum**2, self._count)
        constant = variance <= _ROUNDING * self._squares
        return tf.where(constant, tf.constant(math.nan, self.dtype), 1 - self._residual / variance)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "centre": self._centre, "dtype": self.dtype}


_ROUNDING = 1e-13
"""Variance below this fraction of the sum of squares is rounding error."""
