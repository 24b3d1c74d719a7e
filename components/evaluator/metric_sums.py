"""Metrics as functions of sums over examples, which makes resampling cheap.

The values equal TFMA's. Areas under curves are not functions of sums of fixed size; `auc` has its own module.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hubline.trainer.metric_names import MetricName

LEAST = 1e-7
"""Probabilities are clipped to this distance from 0 and 1, as in Keras' cross-entropies."""


@dataclass(frozen=True)
class MetricFromSums:
    """A metric as a function of sums."""

    of_each: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Maps labels and predictions in their stored format, [batch, n], to float64 [batch, k]."""
    value: Callable[[np.ndarray], np.ndarray]
    """Maps sums, [..., k], to the metric, [...]; NaN if undefined."""


def mean(measure: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> MetricFromSums:
    """The mean of a per-example measure."""

    def of_each(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        values = measure(true, predictions).astype(np.float64)
        return np.stack([np.ones_like(values), values], axis=1)

    return MetricFromSums(of_each, lambda sums: divide(sums[..., 1], sums[..., 0]))


Classify = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Maps labels and predictions in their stored format to the true and the predicted classes of each example, both bool
[batch, classes]."""


def of_confusion(metric: MetricName, classify: Classify, of: int | None = None) -> MetricFromSums | None:
    """Precision, recall or F1 from counts of true positives, false positives and false negatives; None if the metric is
    another.

    Args:
        metric: The metric.
        classify: The true and the predicted classes.
        of: Index of the only class to count; None for all.
    """
    value = {"precision": _precision, "recall": _recall, "f1": _f1}.get(metric.score)
    if value is None:
        return None

    def counts(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        """Float64 [batch, 3], or [batch, 3 x classes] for a macro-average."""
        true, predicted = classify(true, predictions)
        if of is not None:
            true, predicted = true[:, [of]], predicted[:, [of]]
        counted = np.stack([true & predicted, ~true & predicted, true & ~predicted], axis=1).astype(np.float64)
        return counted.reshape(len(true), -1) if metric.is_macro else counted.sum(axis=2)

    def macro(sums: np.ndarray) -> np.ndarray:
        return mean_of_defined(value(np.moveaxis(sums.reshape(*sums.shape[:-1], 3, -1), -2, -1)))

    return MetricFromSums(counts, macro if metric.is_macro else value)


def _precision(counts: np.ndarray) -> np.ndarray:
    return divide(counts[..., 0], counts[..., 0] + counts[..., 1])


def _recall(counts: np.ndarray) -> np.ndarray:
    return divide(counts[..., 0], counts[..., 0] + counts[..., 2])


def _f1(counts: np.ndarray) -> np.ndarray:
    return divide(2 * counts[..., 0], 2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divides; NaN if the denominator is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis, ignoring NaN."""
    there = ~np.isnan(values)
    return divide(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1).astype(np.float64))
