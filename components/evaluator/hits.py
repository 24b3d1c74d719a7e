"""Precision, recall and F1, of the second of two classes or of any number of classes, as Keras metrics.

Those of TFMA are not numbers where nothing is predicted or nothing is true, as in a small slice; these are 0 there.
TFMA looks for a class among its own and Keras' first, so these have names that neither has.
"""

from typing import Any

import tensorflow as tf


class _Hits(tf.keras.metrics.Metric):
    """Counts true positives, false positives and false negatives by class."""

    def __init__(self, name: str, classes: int = 1, threshold: float | None = None, dtype: str = "float64") -> None:
        """The metric with nothing counted.

        Args:
            name: What it is called.
            classes: Where a record has any number of classes, how many there are.
            threshold: Where it has, the score from which one counts as predicted; None for the second of two classes.
            dtype: Of the counts.
        """
        super().__init__(name=name, dtype=dtype)
        self._classes, self._threshold = classes, threshold
        self._hits, self._false, self._missed = (
            self.add_weight(name, shape=[classes], initializer="zeros") for name in ("hits", "false", "missed")
        )

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples.

        Args:
            y_true: Class indices, [batch] or [batch, 1]; of any number of classes 1 for each and else 0,
                [batch, classes].
            y_pred: Scores, [batch, classes].
            sample_weight: How much each example counts, [batch].
        """
        if self._threshold is None:
            true = tf.reshape(y_true, [-1, 1]) == 1
            predicted = tf.argmax(y_pred, axis=1)[:, tf.newaxis] == 1
        else:
            true = tf.reshape(y_true, [-1, self._classes]) > 0
            predicted = tf.reshape(y_pred, [-1, self._classes]) >= self._threshold
        weights = 1.0 if sample_weight is None else tf.cast(tf.reshape(sample_weight, [-1, 1]), self.dtype)
        for counted, which in (
            (self._hits, true & predicted),
            (self._false, ~true & predicted),
            (self._missed, true & ~predicted),
        ):
            counted.assign_add(tf.reduce_sum(weights * tf.cast(which, self.dtype), axis=0))

    def reset_state(self) -> None:
        """Forgets what was counted."""
        for counted in self.variables:
            counted.assign(tf.zeros_like(counted))

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {"name": self.name, "classes": self._classes, "threshold": self._threshold, "dtype": self.dtype}

    @property
    def sums(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The three counts over all classes."""
        return tf.reduce_sum(self._hits), tf.reduce_sum(self._false), tf.reduce_sum(self._missed)


class MicroPrecision(_Hits):
    """The share of what is predicted that is true, over all classes together."""

    def result(self) -> tf.Tensor:
        """The share."""
        hits, false, _ = self.sums
        return tf.math.divide_no_nan(hits, hits + false)


class MicroRecall(_Hits):
    """The share of what is true that is predicted, over all classes together."""

    def result(self) -> tf.Tensor:
        """The share."""
        hits, _, missed = self.sums
        return tf.math.divide_no_nan(hits, hits + missed)


class MicroF1(_Hits):
    """The harmonic mean of the two."""

    def result(self) -> tf.Tensor:
        """The mean."""
        return _f1(*self.sums)


class MacroF1(_Hits):
    """The harmonic mean of precision and recall of each class, in the mean of those that are true or predicted of any
    record."""

    def result(self) -> tf.Tensor:
        """The mean."""
        there = tf.cast(self._hits + self._false + self._missed > 0, self.dtype)
        of_each = _f1(self._hits, self._false, self._missed)
        return tf.math.divide_no_nan(tf.reduce_sum(of_each), tf.reduce_sum(there))


def _f1(hits: tf.Tensor, false: tf.Tensor, missed: tf.Tensor) -> tf.Tensor:
    return tf.math.divide_no_nan(2 * hits, 2 * hits + false + missed)


class AllRight(tf.keras.metrics.Mean):
    """The share of the records of which every class is predicted rightly."""

    def __init__(self, name: str, classes: int, threshold: float, dtype: str = "float64") -> None:
        """The metric with nothing counted; arguments as for precision and recall of any number of classes."""
        super().__init__(name=name, dtype=dtype)
        self._classes, self._threshold = classes, threshold

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples: 1 for each class of a record and else 0, and scores, both [batch, classes]."""
        true, scores = (tf.reshape(values, [-1, self._classes]) for values in (y_true, y_pred))
        super().update_state(tf.reduce_all((true > 0) == (scores >= self._threshold), axis=1), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {"name": self.name, "classes": self._classes, "threshold": self._threshold, "dtype": self.dtype}
