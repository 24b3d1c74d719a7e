"""Precision, recall and F1 of the second of two classes, as Keras metrics.

Those of TFMA are not numbers where nothing is predicted or nothing is true, as in a small slice; these are 0 there.
TFMA looks for a class among its own and Keras' first, so these have names that neither has.
"""

import tensorflow as tf


class _Hits(tf.keras.metrics.Metric):
    """Counts true positives, false positives and false negatives."""

    def __init__(self, name: str, dtype: str = "float64") -> None:
        super().__init__(name=name, dtype=dtype)
        self._hits, self._false, self._missed = (
            self.add_weight(name, initializer="zeros") for name in ("hits", "false", "missed")
        )

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples: class indices, [batch] or [batch, 1], and scores, [batch, classes]."""
        true, predicted = tf.cast(tf.reshape(y_true, [-1]), tf.int64) == 1, tf.argmax(y_pred, axis=1) == 1
        weights = tf.ones_like(true, self.dtype) if sample_weight is None else tf.reshape(sample_weight, [-1])
        for counted, which in (
            (self._hits, true & predicted),
            (self._false, ~true & predicted),
            (self._missed, true & ~predicted),
        ):
            counted.assign_add(tf.reduce_sum(tf.cast(weights, self.dtype) * tf.cast(which, self.dtype)))


class PrecisionOfSecond(_Hits):
    """The share of the records predicted to be of the class that are."""

    def result(self) -> tf.Tensor:
        """The share."""
        return tf.math.divide_no_nan(self._hits, self._hits + self._false)


class RecallOfSecond(_Hits):
    """The share of the records of the class that are predicted to be."""

    def result(self) -> tf.Tensor:
        """The share."""
        return tf.math.divide_no_nan(self._hits, self._hits + self._missed)


class F1OfSecond(_Hits):
    """The harmonic mean of the two."""

    def result(self) -> tf.Tensor:
        """The mean."""
        return tf.math.divide_no_nan(2 * self._hits, 2 * self._hits + self._false + self._missed)
