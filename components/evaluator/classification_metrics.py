"""Precision, recall and F1, of the second of two classes or of any number of classes, as Keras metrics.

Where what they divide by is 0, they are NaN: precision where nothing is predicted, recall where nothing is true, F1
where neither is. TFMA looks for a class among its own and Keras' first, so these have names that neither has.
"""

from typing import Any

import tensorflow as tf


class _Hits(tf.keras.metrics.Metric):
    """Counts true positives, false positives and false negatives by class."""

    def __init__(self, name: str, classes: int = 1, several: bool = False, dtype: str = "float64") -> None:
        """The metric with nothing counted.

        Args:
            name: What it is called.
            classes: Where a record has any number of classes, how many there are.
            several: Whether it has; otherwise the second of two classes counts.
            dtype: Of the counts.
        """
        super().__init__(name=name, dtype=dtype)
        self._classes, self._several = classes, several
        self._hits, self._false, self._missed = (
            self.add_weight(name, shape=[classes], initializer="zeros") for name in ("hits", "false", "missed")
        )

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples.

        Args:
            y_true: Class indices, [batch] or [batch, 1]; of any number of classes 1 for each and else 0,
                [batch, classes].
            y_pred: Scores, [batch, classes]; of any number of classes with what is chosen behind them.
            sample_weight: How much each example counts, [batch].
        """
        if self._several:
            true = tf.reshape(y_true, [-1, self._classes]) > 0
            predicted = chosen(y_pred, self._classes)
        else:
            true = tf.reshape(y_true, [-1, 1]) == 1
            predicted = tf.argmax(y_pred, axis=1)[:, tf.newaxis] == 1
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
        return {"name": self.name, "classes": self._classes, "several": self._several, "dtype": self.dtype}

    @property
    def sums(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The three counts over all classes."""
        return tf.reduce_sum(self._hits), tf.reduce_sum(self._false), tf.reduce_sum(self._missed)


class MicroPrecision(_Hits):
    """The share of what is predicted that is true, over all classes together."""

    def result(self) -> tf.Tensor:
        """The share."""
        hits, false, _ = self.sums
        return hits / (hits + false)


class MicroRecall(_Hits):
    """The share of what is true that is predicted, over all classes together."""

    def result(self) -> tf.Tensor:
        """The share."""
        hits, _, missed = self.sums
        return hits / (hits + missed)


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
        there = self._hits + self._false + self._missed > 0
        of_each = _f1(self._hits, self._false, self._missed)
        return tf.reduce_mean(tf.boolean_mask(of_each, there))


def _f1(hits: tf.Tensor, false: tf.Tensor, missed: tf.Tensor) -> tf.Tensor:
    return 2 * hits / (2 * hits + false + missed)


class AllRight(tf.keras.metrics.Mean):
    """The share of the records of which every class is predicted rightly."""

    def __init__(self, name: str, classes: int, dtype: str = "float64") -> None:
        """The metric with nothing counted; arguments as for precision and recall of any number of classes."""
        super().__init__(name=name, dtype=dtype)
        self._classes = classes

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples: 1 for each class of a record and else 0, [batch, classes], and scores with what is chosen
        behind them, [batch, 2 x classes]."""
        true = tf.reshape(y_true, [-1, self._classes]) > 0
        super().update_state(tf.reduce_all(true == chosen(y_pred, self._classes), axis=1), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {"name": self.name, "classes": self._classes, "dtype": self.dtype}


class TopAccuracy(tf.keras.metrics.Mean):
    """The share of records whose class is among the `k` with the highest scores. Keras' own counts in float32 alone,
    which stops at 2^24."""

    def __init__(self, name: str, k: int, dtype: str = "float64") -> None:
        """The metric with nothing counted."""
        super().__init__(name=name, dtype=dtype)
        self._k = k

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples: class indices, [batch] or [batch, 1], and scores, [batch, classes]."""
        true = tf.cast(tf.reshape(y_true, [-1]), tf.int32)
        super().update_state(tf.math.in_top_k(true, tf.cast(y_pred, tf.float32), self._k), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {"name": self.name, "k": self._k, "dtype": self.dtype}


class MeanBinaryCrossEntropy(tf.keras.metrics.BinaryCrossentropy):
    """The binary cross-entropy of any number of classes, in the mean of the classes."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples; shapes as for `AllRight`."""
        super().update_state(y_true, tf.split(y_pred, 2, axis=-1)[0], sample_weight)


def chosen(y_pred: tf.Tensor, classes: int) -> tf.Tensor:
    """Which classes a model chooses, bool [batch, classes], of scores with a 1 or 0 for each behind them."""
    return tf.reshape(y_pred, [-1, 2 * classes])[:, classes:] > 0.5
