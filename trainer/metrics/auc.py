"""Areas under the ROC curve and the precision-recall curve."""

import math
from typing import Any, Literal

import tensorflow as tf

from hubline.trainer.metrics.class_columns import membership

_THRESHOLDS = 1000


class AreaUnderCurve(tf.keras.metrics.AUC):
    """Area under the curve of each class against the rest, averaged over the classes; or of one class.

    TFMA's own takes milliseconds per example and class; this one processes whole batches. Labels and predictions are
    in the format of `class_columns`.
    """

    def __init__(
        self,
        classes: int,
        several: bool = False,
        curve: Literal["ROC", "PR"] = "ROC",
        of: int | None = None,
        name: str = "auc",
        **options: Any,
    ) -> None:
        """Args:
        classes: Number of classes.
        several: Whether a record can have several classes.
        curve: The curve: ROC, or precision and recall.
        of: Index of the only class to count; None for all.
        name: The metric's name.
        **options: Accepts Keras' own options when restored from its configuration.
        """
        self._all_classes, self._several, self._of = classes, several, of
        self._count = classes if of is None else 1
        self._is_roc = curve == "ROC"
        super().__init__(
            name=name, num_thresholds=_THRESHOLDS, multi_label=True, num_labels=self._count, dtype="float64"
        )

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts a batch.

        The counts have Keras's shape, `thresholds` by `classes`. Keras computes them class by class with
        `vectorized_map`, which builds a graph for each batch.
        """
        true = tf.cast(membership(y_true, self._all_classes, self._several), self.dtype)
        scores = y_pred[:, : self._all_classes]
        if self._of is not None:
            true, scores = (values[:, self._of : self._of + 1] for values in (true, scores))
        weights = 1.0 if sample_weight is None else tf.cast(tf.reshape(sample_weight, [-1, 1]), self.dtype)
        # A score exceeds thresholds 0 to `highest`. The first threshold is just below 0 and the last just above 1.
        highest = tf.math.ceil(tf.clip_by_value(scores, 0.0, 1.0) * (_THRESHOLDS - 1)) - 1
        cells = tf.cast(tf.maximum(highest, 0.0), tf.int32) * self._count + tf.range(self._count)

        def above(values: tf.Tensor) -> tf.Tensor:
            sums = tf.math.unsorted_segment_sum(values, cells, _THRESHOLDS * self._count)
            return tf.cumsum(tf.reshape(sums, [_THRESHOLDS, self._count]), reverse=True)

        positives, negatives = above(true * weights), above((1 - true) * weights)
        self.true_positives.assign_add(positives)
        self.false_positives.assign_add(negatives)
        self.false_negatives.assign_add(positives[0] - positives)
        self.true_negatives.assign_add(negatives[0] - negatives)

    def result(self) -> tf.Tensor:
        """The area averaged over the classes for which it is defined: those with positive and, for ROC, negative
        examples; NaN if there are none."""
        positives, negatives = self.true_positives[0], self.false_positives[0]
        defined = (positives > 0) & (negatives > 0) if self._is_roc else positives > 0
        areas = self._roc() if self._is_roc else self._average_precision()
        mean = tf.reduce_mean(tf.boolean_mask(areas, defined))
        return tf.where(tf.reduce_any(defined), mean, tf.constant(math.nan, self.dtype))

    def _roc(self) -> tf.Tensor:
        """The area of each class by the trapezoidal rule, [classes]."""
        recall, fallout = (self._share(counts) for counts in (self.true_positives, self.false_positives))
        return tf.reduce_sum((recall[:-1] + recall[1:]) / 2 * (fallout[:-1] - fallout[1:]), axis=0)

    def _average_precision(self) -> tf.Tensor:
        """Precision at each threshold, weighted by the increase of recall, [classes]. Interpolation between the
        thresholds would be too optimistic."""
        precision = tf.math.divide_no_nan(self.true_positives, self.true_positives + self.false_positives)
        recall = self._share(self.true_positives)
        return tf.reduce_sum(precision * (recall - tf.pad(recall[1:], [[0, 1], [0, 0]])), axis=0)

    def _share(self, counts: tf.Tensor) -> tf.Tensor:
        """Counts above each threshold as shares of the total."""
        return tf.math.divide_no_nan(counts, counts[0])

    def get_config(self) -> dict[str, Any]:
        return {
            "classes": self._all_classes,
            "several": self._several,
            "curve": "ROC" if self._is_roc else "PR",
            "of": self._of,
            "name": self.name,
        }
