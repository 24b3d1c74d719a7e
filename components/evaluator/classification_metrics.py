"""Keras metrics for binary and multi-label classification: precision, recall, F1 and more.

They are NaN if the denominator is 0: precision without predicted positives, recall without actual positives, F1 without
either. TFMA looks up a class name in its own and Keras' modules first, so the names here differ from all of theirs.
"""

from typing import Any

import tensorflow as tf


class _ConfusionCounts(tf.keras.metrics.Metric):
    """Counts true positives, false positives and false negatives by class."""

    def __init__(self, name: str, classes: int = 1, several: bool = False, dtype: str = "float64") -> None:
        """Args:
        name: The metric's name.
        classes: Number of classes, for multi-label classification.
        several: Whether this is multi-label classification; otherwise class 1 of two is the positive class.
        dtype: Of the counts.
        """
        super().__init__(name=name, dtype=dtype)
        self._classes, self._several = classes, several
        self._hits, self._false, self._missed = (
            self.add_weight(name, shape=[classes], initializer="zeros") for name in ("hits", "false", "missed")
        )

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts a batch.

        Args:
            y_true: Class indices, [batch] or [batch, 1]; for multi-label, 0 or 1 for each class, [batch, classes].
            y_pred: Scores, [batch, classes]; for multi-label, followed by the decisions, [batch, 2 x classes].
            sample_weight: [batch].
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
        for counted in self.variables:
            counted.assign(tf.zeros_like(counted))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "classes": self._classes, "several": self._several, "dtype": self.dtype}

    @property
    def sums(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The three counts, summed over the classes."""
        return tf.reduce_sum(self._hits), tf.reduce_sum(self._false), tf.reduce_sum(self._missed)


class MicroPrecision(_ConfusionCounts):
    """Micro-averaged precision."""

    def result(self) -> tf.Tensor:
        hits, false, _ = self.sums
        return hits / (hits + false)


class MicroRecall(_ConfusionCounts):
    """Micro-averaged recall."""

    def result(self) -> tf.Tensor:
        hits, _, missed = self.sums
        return hits / (hits + missed)


class MicroF1(_ConfusionCounts):
    """Micro-averaged F1."""

    def result(self) -> tf.Tensor:
        return _f1(*self.sums)


class MacroF1(_ConfusionCounts):
    """F1 averaged over the classes that occur in labels or predictions."""

    def result(self) -> tf.Tensor:
        there = self._hits + self._false + self._missed > 0
        of_each = _f1(self._hits, self._false, self._missed)
        return tf.reduce_mean(tf.boolean_mask(of_each, there))


def _f1(hits: tf.Tensor, false: tf.Tensor, missed: tf.Tensor) -> tf.Tensor:
    return 2 * hits / (2 * hits + false + missed)


class SubsetAccuracy(tf.keras.metrics.Mean):
    """Subset accuracy: the fraction of records for which every class is predicted correctly."""

    def __init__(self, name: str, classes: int, dtype: str = "float64") -> None:
        """Args:
        name: The metric's name.
        classes: Number of classes.
        dtype: Of the sums.
        """
        super().__init__(name=name, dtype=dtype)
        self._classes = classes

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts a batch.

        Args:
            y_true: 0 or 1 for each class, [batch, classes].
            y_pred: Scores followed by decisions, [batch, 2 x classes].
            sample_weight: [batch].
        """
        true = tf.reshape(y_true, [-1, self._classes]) > 0
        super().update_state(tf.reduce_all(true == chosen(y_pred, self._classes), axis=1), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "classes": self._classes, "dtype": self.dtype}


class TopAccuracy(tf.keras.metrics.Mean):
    """Top-k accuracy. Keras' own counts in float32 only, which stops counting at 2^24."""

    def __init__(self, name: str, k: int, dtype: str = "float64") -> None:
        super().__init__(name=name, dtype=dtype)
        self._k = k

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts a batch.

        Args:
            y_true: Class indices, [batch] or [batch, 1].
            y_pred: Scores, [batch, classes].
            sample_weight: [batch].
        """
        true = tf.cast(tf.reshape(y_true, [-1]), tf.int32)
        super().update_state(tf.math.in_top_k(true, tf.cast(y_pred, tf.float32), self._k), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "k": self._k, "dtype": self.dtype}


class MeanBinaryCrossEntropy(tf.keras.metrics.BinaryCrossentropy):
    """Binary cross-entropy of a multi-label classifier, averaged over the classes."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts a batch; shapes as for `SubsetAccuracy`."""
        super().update_state(y_true, tf.split(y_pred, 2, axis=-1)[0], sample_weight)


def chosen(y_pred: tf.Tensor, classes: int) -> tf.Tensor:
    """The decisions for each class, bool [batch, classes], from scores followed by decisions of 1 or 0."""
    return tf.reshape(y_pred, [-1, 2 * classes])[:, classes:] > 0.5
