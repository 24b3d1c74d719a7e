"""Metrics of numbers, in the label's unit. Labels and predictions are in the format of `float64.to_parts`, [batch,
PARTS]. Some of Keras's own compute in float32."""

import tensorflow as tf

from hubline.core.float64 import from_parts
from hubline.trainer.metric_names import MetricName
from hubline.trainer.metrics.r2 import R2


def of_numbers(metric: MetricName, centre: float) -> tf.keras.metrics.Metric:
    """A metric of numbers.

    Args:
        metric: Its name.
        centre: A typical value of the labels.
    """
    match metric.family:
        case "rmse":
            return RootMeanSquaredDifference(metric.text)
        case "mae":
            return MeanAbsoluteDifference(metric.text)
        case "r2":
            return R2(metric.text, centre)
    raise AssertionError(metric)  # excluded by the pipeline file's validation


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
        return tf.sqrt(super().result())
