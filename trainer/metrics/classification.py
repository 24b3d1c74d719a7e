"""Metrics of classes. Labels and predictions are in the format of `class_columns`."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from hubline.trainer.metric_names import TOP, MetricName
from hubline.trainer.metrics.auc import AreaUnderCurve
from hubline.trainer.metrics.class_columns import decisions, indices, membership


def of_one_class(metric: MetricName, classes: Sequence[str], positive: int | None = None) -> tf.keras.metrics.Metric:
    """A metric of labels with one class per record.

    Args:
        metric: Its name.
        classes: Class names.
        positive: For two classes whose predictions have decisions, the index of the one that `precision`, `recall`,
            `f1` and `pr_auc` are about. With None, `pr_auc` is averaged over the classes.
    """
    decided = positive is not None
    if metric.family == "accuracy":
        return ClassAccuracy(metric.text, len(classes), decided=decided)
    if metric.family == "cross_entropy":
        return ClassCrossEntropy(metric.text, len(classes))
    if metric.family == TOP:
        assert metric.k is not None
        return TopAccuracy(metric.text, metric.k, len(classes))
    of_positive = positive if metric.family in ("precision", "recall", "f1", "pr_auc") else None
    return _of_each_class(metric, classes, several=False, decided=decided, of=of_positive)


def of_several_classes(metric: MetricName, classes: Sequence[str]) -> tf.keras.metrics.Metric:
    """A metric of labels with any number of classes per record."""
    match metric.family:
        case "cross_entropy":
            return MeanBinaryCrossEntropy(metric.text, dtype="float64")
        case "exact_match":
            return SubsetAccuracy(metric.text, len(classes))
        case "binary_accuracy":
            return MeanClassAccuracy(metric.text, len(classes))
    return _of_each_class(metric, classes, several=True, decided=True)


def _of_each_class(
    metric: MetricName, classes: Sequence[str], several: bool, decided: bool, of: int | None = None
) -> tf.keras.metrics.Metric:
    """A metric that is computed class by class; `of` is the only class that counts."""
    count, of = len(classes), of if metric.of is None else metric.index(classes)
    if metric.score in ("auc", "pr_auc"):
        return AreaUnderCurve(count, several, "PR" if metric.score == "pr_auc" else "ROC", of, metric.text)
    return ConfusionScore(metric.text, metric.score, count, several, metric.is_macro, of, decided)


class ConfusionScore(tf.keras.metrics.Metric):
    """Precision, recall or F1 of a class, micro-averaged, or macro-averaged.

    NaN if the denominator is 0: precision without predicted positives, recall without actual positives, F1 without
    either. The macro-average is that of the classes for which the score is defined.
    """

    def __init__(
        self,
        name: str,
        score: str,
        classes: int,
        several: bool = False,
        macro: bool = False,
        of: int | None = None,
        decided: bool = False,
        dtype: str = "float64",
    ) -> None:
        """Args:
        name: The metric's name.
        score: `precision`, `recall` or `f1`.
        classes: Number of classes.
        several: Whether a record can have several classes.
        macro: Whether to average the scores of the classes, rather than to add up their counts.
        of: Index of the only class to count; None for all.
        decided: Whether the predictions have decisions.
        dtype: Of the counts.
        """
        super().__init__(name=name, dtype=dtype)
        self._decided = decided
        self._score, self._classes, self._several, self._macro, self._of = score, classes, several, macro, of
        self._hits, self._false, self._missed = (
            self.add_weight(name, shape=[classes], initializer="zeros") for name in ("hits", "false", "missed")
        )

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        true = membership(y_true, self._classes, self._several)
        predicted = decisions(y_pred, self._classes, self._decided)
        weights = 1.0 if sample_weight is None else tf.cast(tf.reshape(sample_weight, [-1, 1]), self.dtype)
        for counted, which in (
            (self._hits, true & predicted),
            (self._false, ~true & predicted),
            (self._missed, true & ~predicted),
        ):
            counted.assign_add(tf.reduce_sum(weights * tf.cast(which, self.dtype), axis=0))

    def result(self) -> tf.Tensor:
        counts: Sequence[tf.Tensor] = (self._hits, self._false, self._missed)
        if self._of is not None:
            counts = [count[self._of] for count in counts]
        elif not self._macro:
            counts = [tf.reduce_sum(count) for count in counts]
        hits, false, missed = counts
        wrong = {"precision": false, "recall": missed, "f1": (false + missed) / 2}[self._score]
        # A quotient of zeros is NaN.
        scores = hits / (hits + wrong)
        return tf.reduce_mean(tf.boolean_mask(scores, hits + wrong > 0)) if self._macro else scores

    def reset_state(self) -> None:
        for counted in self.variables:
            counted.assign(tf.zeros_like(counted))

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "score": self._score,
            "classes": self._classes,
            "several": self._several,
            "macro": self._macro,
            "of": self._of,
            "decided": self._decided,
            "dtype": self.dtype,
        }


class _MeanOfClasses(tf.keras.metrics.Mean):
    """A mean over records that depends on the number of classes."""

    def __init__(self, name: str, classes: int, dtype: str = "float64") -> None:
        """Args:
        name: The metric's name.
        classes: Number of classes.
        dtype: Of the sums.
        """
        super().__init__(name=name, dtype=dtype)
        self._classes = classes

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "classes": self._classes, "dtype": self.dtype}


class ClassAccuracy(_MeanOfClasses):
    """Fraction of records whose class is predicted."""

    def __init__(self, name: str, classes: int, dtype: str = "float64", decided: bool = False) -> None:
        """`decided` is whether the predictions have decisions; otherwise, the highest score is the prediction."""
        super().__init__(name, classes, dtype)
        self._decided = decided

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        predicted = decisions(y_pred, self._classes, self._decided)
        right = tf.reduce_any(predicted & membership(y_true, self._classes, several=False), axis=1)
        super().update_state(right, sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decided": self._decided}


class ClassCrossEntropy(_MeanOfClasses):
    """Cross-entropy of the class."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        scores = y_pred[:, : self._classes]
        super().update_state(tf.keras.losses.sparse_categorical_crossentropy(indices(y_true), scores), sample_weight)


class TopAccuracy(_MeanOfClasses):
    """Top-k accuracy. Keras' own counts in float32 only, which stops counting at 2^24."""

    def __init__(self, name: str, k: int, classes: int, dtype: str = "float64") -> None:
        super().__init__(name, classes, dtype)
        self._k = k

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        scores = tf.cast(y_pred[:, : self._classes], tf.float32)
        super().update_state(tf.math.in_top_k(indices(y_true), scores, self._k), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self._k}


class SubsetAccuracy(_MeanOfClasses):
    """Subset accuracy: the fraction of records for which every class is predicted correctly."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        super().update_state(tf.reduce_all(_is_right(y_true, y_pred, self._classes), axis=1), sample_weight)


class MeanClassAccuracy(_MeanOfClasses):
    """Fraction of classes that are predicted correctly, over all records."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        right = tf.cast(_is_right(y_true, y_pred, self._classes), self.dtype)
        super().update_state(tf.reduce_mean(right, axis=1), sample_weight)


def _is_right(y_true: tf.Tensor, y_pred: tf.Tensor, classes: int) -> tf.Tensor:
    return membership(y_true, classes, several=True) == decisions(y_pred, classes, decided=True)


class MeanBinaryCrossEntropy(tf.keras.metrics.BinaryCrossentropy):
    """Binary cross-entropy of a multi-label classifier, averaged over the classes."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        super().update_state(y_true, tf.split(y_pred, 2, axis=-1)[0], sample_weight)
