"""Metrics of numbers by how far they are apart, in float64. What is true and what is predicted are given as
`float64.to_parts` has them, [batch, PARTS].

Of Keras' own, some compute in float32. TFMA looks for a class among its own and Keras' first, so
these have names that neither has.
"""

import tensorflow as tf

from hubline.core.float64 import from_parts


class MeanAbsoluteDifference(tf.keras.metrics.Mean):
    """The mean size of the differences."""

    def __init__(self, name: str = "mae", dtype: str = "float64") -> None:
        """The metric with nothing counted; `dtype` is that of the sums."""
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples."""
        super().update_state(tf.abs(from_parts(y_pred) - from_parts(y_true)), sample_weight)


class RootMeanSquaredDifference(tf.keras.metrics.Mean):
    """The root of the mean of the squared differences."""

    def __init__(self, name: str = "rmse", dtype: str = "float64") -> None:
        """The metric with nothing counted; `dtype` is that of the sums."""
        super().__init__(name=name, dtype=dtype)

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples."""
        super().update_state((from_parts(y_pred) - from_parts(y_true)) ** 2, sample_weight)

    def result(self) -> tf.Tensor:
        """In the units of the numbers."""
        return tf.sqrt(super().result())
