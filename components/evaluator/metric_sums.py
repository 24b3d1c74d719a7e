"""Metrics as functions of sums over examples, which makes resampling cheap.

The values equal TFMA's. `auc` is not a function of sums; it has its own module.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

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


def counts_of(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """True positives, false positives and false negatives, [batch, 3 x classes], from bool [batch] or [batch,
    classes]."""
    found = [
        counted.reshape(len(true), -1) for counted in (true & predictions, ~true & predictions, true & ~predictions)
    ]
    return np.concatenate(found, axis=1).astype(np.float64)


def precision_of(sums: np.ndarray) -> np.ndarray:
    """Precision from sums of `counts_of`, [..., 3]."""
    return divide(sums[..., 0], sums[..., 0] + sums[..., 1])


def recall_of(sums: np.ndarray) -> np.ndarray:
    """Recall from sums of `counts_of`, [..., 3]."""
    return divide(sums[..., 0], sums[..., 0] + sums[..., 2])


def f1_of(sums: np.ndarray) -> np.ndarray:
    """F1 from sums of `counts_of`, [..., 3]."""
    return divide(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divides; NaN if the denominator is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis, ignoring NaN."""
    there = ~np.isnan(values)
    return divide(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1).astype(np.float64))
