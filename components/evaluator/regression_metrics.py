"""Regression metrics in float64. Labels and predictions are in the format of `float64.to_parts`, [batch, PARTS].

Some of Keras' own compute in float32. TFMA looks up a class name in its own and Keras' modules first, so the names here
differ from all of theirs.
"""

import tensorflow as tf

from hubline.core.float64 import from_parts


class MeanAbsoluteDifference(tf.keras.metrics.Mean):
    """Mean absolute error."""

    def __init__(self, name: str = "mae", dtype: str = "float64") -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        super().update_state(tf.abs(from_parts(y_pred) - from_parts(y_true)), sample_weight)


class RootMeanSquaredDifference(tf.keras.metrics.Mean):
    """Root mean squared error."""

    def __init__(self, name: str = "rmse", dtype: str = "float64") -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        super().update_state((from_parts(y_pred) - from_parts(y_true)) ** 2, sample_weight)

    def result(self) -> tf.Tensor:
        """In the label's unit."""
        return tf.sqrt(super().result())
