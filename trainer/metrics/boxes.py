"""Metrics for a class and a box, which are concatenated in the stored predictions.

Labels are the class index and the four box coordinates, [batch, 5]; predictions are the class scores and the four
coordinates, [batch, classes + 4]. Metrics of the class are those of `classification`, which read the first columns.
"""

from typing import Any

import tensorflow as tf

from hubline.trainer.boxes import iou
from hubline.trainer.metric_names import MetricName


def of_boxes(metric: MetricName) -> tf.keras.metrics.Metric:
    """A metric of boxes."""
    return MeanBoxIoU(metric.text, at_least={"mean_iou": None, "iou_50": 0.5}[metric.family])


class MeanBoxIoU(tf.keras.metrics.Mean):
    """Mean IoU of boxes, or the fraction of boxes whose IoU reaches a threshold."""

    def __init__(self, name: str, at_least: float | None = None, dtype: str = "float64") -> None:
        """Args:
        name: The metric's name.
        at_least: IoU threshold; None for the mean IoU.
        dtype: Of the sums.
        """
        super().__init__(name=name, dtype=dtype)
        self._at_least = at_least

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        overlap = iou(tf.reshape(y_true, [-1, 5])[:, 1:], y_pred[..., -4:])
        counted = overlap if self._at_least is None else tf.cast(overlap >= self._at_least, tf.float32)
        super().update_state(counted, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "at_least": self._at_least, "dtype": self.dtype}
