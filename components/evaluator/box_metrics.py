"""Metrics for a class and a box, which are concatenated in the stored predictions.

Labels are the class index and the four box coordinates, [batch, 5]; predictions are the class scores and the four
coordinates, [batch, classes + 4]. TFMA looks up a class name in its own and Keras' modules first, so the names here
differ from all of theirs.
"""

from typing import Any

import tensorflow as tf

from hubline.components.evaluator.classification_metrics import TopAccuracy
from hubline.components.evaluator.macro_auc import MacroAUC
from hubline.trainer.boxes import iou


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


class _ClassOnly:
    """Passes only the class to a classification metric."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        super().update_state(tf.reshape(y_true, [-1, 5])[:, 0], y_pred[..., :-4], sample_weight)  # type: ignore[misc]


class AccuracyBesideBox(_ClassOnly, tf.keras.metrics.SparseCategoricalAccuracy):
    """Fraction of records whose class has the highest score."""


class TopAccuracyBesideBox(_ClassOnly, TopAccuracy):
    """Fraction of records whose class is among those with the k highest scores."""


class CrossEntropyBesideBox(_ClassOnly, tf.keras.metrics.SparseCategoricalCrossentropy):
    """Cross-entropy of the class."""


class MacroAUCBesideBox(_ClassOnly, MacroAUC):
    """Area under the ROC curve of each class, macro-averaged."""
