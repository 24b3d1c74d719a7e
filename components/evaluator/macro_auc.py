"""The area under the ROC curve of one class against the rest, averaged over classes, as a Keras metric."""

import math
from typing import Any

import tensorflow as tf


class MacroAUC(tf.keras.metrics.AUC):
    """Keras' AUC for a score for each class, and the index of the one that is true or any number of them.

    TFMA has one of its own, which takes some milliseconds for each example and class; this one takes a batch at a time.
    """

    def __init__(self, classes: int, several: bool = False, name: str = "auc", **options: Any) -> None:
        """The metric with nothing counted.

        Args:
            classes: How many classes there are.
            several: Whether an example has any number of them.
            name: What it is called.
            **options: Keras' own, with which it is made again from its `get_config`.
        """
        self._classes, self._several = classes, several
        super().__init__(name=name, num_thresholds=_THRESHOLDS, multi_label=True, num_labels=classes, dtype="float64")

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples.

        The counts are Keras' own, `thresholds` by `classes`; Keras takes them class by class with `vectorized_map`,
        which builds a graph for each batch.

        Args:
            y_true: Class indices, [batch] or [batch, 1]; with `several` 1 for each class and else 0, [batch, classes].
            y_pred: Scores, [batch, classes]; with `several`, what is chosen stands behind them.
            sample_weight: How much each example counts, [batch].
        """
        if self._several:
            true = tf.cast(tf.reshape(y_true, [-1, self._classes]), self.dtype)
        else:
            true = tf.one_hot(tf.cast(tf.reshape(y_true, [-1]), tf.int32), self._classes, dtype=self.dtype)
        width = self._classes * (2 if self._several else 1)
        y_pred = tf.reshape(y_pred, [-1, width])[:, : self._classes]
        weights = 1.0 if sample_weight is None else tf.cast(tf.reshape(sample_weight, [-1, 1]), self.dtype)
        # A score is above the thresholds 0 to `highest`; the first threshold is just below 0, the last just above 1.
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
        """The area, averaged over the classes that some examples have and some have not: others have no curve. NaN
        where no class has one."""
        some = (self.true_positives[0] + self.false_negatives[0]) > 0
        others = (self.false_positives[0] + self.true_negatives[0]) > 0
        self.label_weights = tf.cast(some & others, self.dtype)
        return tf.where(tf.reduce_any(some & others), super().result(), tf.constant(math.nan, self.dtype))

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {"classes": self._classes, "several": self._several, "name": self.name}


_THRESHOLDS = 1000
