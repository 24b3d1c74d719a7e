"""One-vs-rest area under the ROC curve, macro-averaged, as a Keras metric."""

import math
from typing import Any

import tensorflow as tf


class MacroAUC(tf.keras.metrics.AUC):
    """Keras' AUC per class, for single-label and multi-label classification.

    TFMA's own takes milliseconds per example and class; this one processes whole batches.
    """

    def __init__(self, classes: int, several: bool = False, name: str = "auc", **options: Any) -> None:
        """Args:
        classes: Number of classes.
        several: Whether this is multi-label classification.
        name: The metric's name.
        **options: Accepts Keras' own options when restored from its configuration.
        """
        self._classes, self._several = classes, several
        super().__init__(name=name, num_thresholds=_THRESHOLDS, multi_label=True, num_labels=classes, dtype="float64")

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts a batch.

        The counts have Keras' shape, `thresholds` by `classes`. Keras computes them class by class with
        `vectorized_map`, which builds a graph for each batch.

        Args:
            y_true: Class indices, [batch] or [batch, 1]; with `several`, 0 or 1 for each class, [batch, classes].
            y_pred: Scores, [batch, classes]; with `several`, followed by the decisions.
            sample_weight: [batch].
        """
        if self._several:
            true = tf.cast(tf.reshape(y_true, [-1, self._classes]), self.dtype)
        else:
            true = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), self._classes, dtype=self.dtype)
        width = self._classes * (2 if self._several else 1)
        y_pred = tf.reshape(y_pred, [-1, width])[:, : self._classes]
        weights = 1.0 if sample_weight is None else tf.cast(tf.reshape(sample_weight, [-1, 1]), self.dtype)
        # A score exceeds thresholds 0 to `highest`. The first threshold is just below 0 and the last just above 1.
        highest = tf.math.ceil(tf.clip_by_value(y_pred, 0.0, 1.0) * (_THRESHOLDS - 1)) - 1
        cells = tf.cast(tf.maximum(highest, 0.0), tf.int32) * self._classes + tf.range(self._classes)

        def above(values: tf.Tensor) -> tf.Tensor:
            sums = tf.math.unsorted_segment_sum(values, cells, _THRESHOLDS * self._classes)
            return tf.cumsum(tf.reshape(sums, [_THRESHOLDS, self._classes]), reverse=True)

        positives, negatives = above(true * weights), above((1 - true) * weights)
        self.true_positives.assign_add(positives)
        self.false_positives.assign_add(negatives)
        self.false_negatives.assign_add(positives[0] - positives)
        self.true_negatives.assign_add(negatives[0] - negatives)

    def result(self) -> tf.Tensor:
        """The area averaged over the classes that have positive and negative examples; NaN if there are none."""
        some = (self.true_positives[0] + self.false_negatives[0]) > 0
        others = (self.false_positives[0] + self.true_negatives[0]) > 0
        self.label_weights = tf.cast(some & others, self.dtype)
        return tf.where(tf.reduce_any(some & others), super().result(), tf.constant(math.nan, self.dtype))

    def get_config(self) -> dict[str, Any]:
        return {"classes": self._classes, "several": self._several, "name": self.name}


_THRESHOLDS = 1000
