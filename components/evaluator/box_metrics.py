"""Metrics of a class and a box, which stand behind each other in what is kept of predictions.

What is true is the index of the class and the four numbers of the box, [batch, 5]; what is predicted the scores of all
classes and the four numbers, [batch, classes + 4]. TFMA looks for a class among its own and Keras' first, so these have
names that neither has.
"""

from typing import Any

import tensorflow as tf

from hubline.components.evaluator.classification_metrics import TopAccuracy
from hubline.components.evaluator.macro_auc import MacroAUC
from hubline.trainer.boxes import iou


class MeanBoxIoU(tf.keras.metrics.Mean):
    """The mean IoU of boxes, or the share of those whose IoU is not less than a bound."""

    def __init__(self, name: str, at_least: float | None = None, dtype: str = "float64") -> None:
        """The metric with nothing counted; `at_least` is the bound."""
        super().__init__(name=name, dtype=dtype)
        self._at_least = at_least

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples."""
        overlap = iou(tf.reshape(y_true, [-1, 5])[:, 1:], y_pred[..., -4:])
        counted = overlap if self._at_least is None else tf.cast(overlap >= self._at_least, tf.float32)
        super().update_state(counted, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {"name": self.name, "at_least": self._at_least, "dtype": self.dtype}


class _OfClass:
    """A metric of classes that is given boxes besides."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples."""
        super().update_state(tf.reshape(y_true, [-1, 5])[:, 0], y_pred[..., :-4], sample_weight)  # type: ignore[misc]


class AccuracyBesideBox(_OfClass, tf.keras.metrics.SparseCategoricalAccuracy):
    """The share of records whose class has the highest score."""


class TopAccuracyBesideBox(_OfClass, TopAccuracy):
    """The share of records whose class is among those with the highest scores."""


class CrossEntropyBesideBox(_OfClass, tf.keras.metrics.SparseCategoricalCrossentropy):
    """The cross-entropy of the class."""


class MacroAUCBesideBox(_OfClass, MacroAUC):
    """The area under the ROC curve of each class, in the mean."""
