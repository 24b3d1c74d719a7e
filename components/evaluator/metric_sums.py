"""What each metric is made of: numbers of each example, and the metric of their sums, so that samples of examples can
be drawn again and again. The values are those that TFMA gives; `auc` is no such metric, and has a file of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEAST = 1e-7
"""As near to 0 and 1 as a probability comes in Keras' cross-entropies."""


@dataclass(frozen=True)
class Sums:
    """A metric by its sums."""

    of_each: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Of what is true and what is predicted, as they are kept, [batch, n]: float64 of shape [batch, k]."""
    value: Callable[[np.ndarray], np.ndarray]
    """Of sums, [..., k]: the metric, [...]; NaN where it is not defined."""


def mean(measure: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Sums:
    """The mean of what a function gives of each example."""

    def of_each(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        values = measure(true, told).astype(np.float64)
        return np.stack([np.ones_like(values), values], axis=1)

    return Sums(of_each, lambda sums: divide(sums[..., 1], sums[..., 0]))


def counts_of(true: np.ndarray, told: np.ndarray) -> np.ndarray:
    """True and false positives and false negatives, [batch, 3 x classes], of bool [batch] or [batch, classes]."""
    found = [counted.reshape(len(true), -1) for counted in (true & told, ~true & told, true & ~told)]
    return np.concatenate(found, axis=1).astype(np.float64)


def precision_of(sums: np.ndarray) -> np.ndarray:
    """Precision from sums of `counts_of`, [..., 3]."""
    return divide(sums[..., 0], sums[..., 0] + sums[..., 1])


def recall_of(sums: np.ndarray) -> np.ndarray:
    """Recall, likewise."""
    return divide(sums[..., 0], sums[..., 0] + sums[..., 2])


def f1_of(sums: np.ndarray) -> np.ndarray:
    """F1, likewise."""
    return divide(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is not NaN."""
    there = ~np.isnan(values)
    return divide(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1).astype(np.float64))
