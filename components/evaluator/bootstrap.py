"""Bootstrap intervals of metrics: the examples are resampled with replacement, from a fixed seed.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13, the percentile interval. Only sums are kept,
not the examples: beyond some thousands of examples, groups of them are resampled, which bounds memory and time. Sums of
groups have the same variance as sums of their examples.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

LEVEL = 0.95
"""Confidence level of the intervals."""
SAMPLES = 1000
_SEED = 20_131
_MOST_GROUPS, _MOST_NUMBERS = 4096, 1 << 22


class GroupSums:
    """Sums over groups of examples, float64 [groups, k]."""

    def __init__(self, examples: int, width: int) -> None:
        """Args:
        examples: Number of examples to come.
        width: Number of values per example, k.
        """
        self.sums = np.zeros([max(1, min(examples, _MOST_GROUPS, _MOST_NUMBERS // width)), width])
        self._counted = 0

    def add(self, values: np.ndarray) -> None:
        """Adds the next examples, float64 [batch, k]."""
        groups = len(self.sums)
        for begin in range(0, len(values), groups):
            some = values[begin : begin + groups]
            self.sums[(self._counted + np.arange(len(some))) % groups] += some
            self._counted += len(some)

    @property
    def total(self) -> np.ndarray:
        """Sums over all examples, [k]."""
        return self.sums.sum(axis=0)

    def drawn(self) -> np.ndarray:
        """Sums over each bootstrap sample, [SAMPLES, k]. All metrics use the same samples, so that they can be
        compared."""
        return _weights(len(self.sums)) @ self.sums


@lru_cache(maxsize=4)
def _weights(groups: int) -> np.ndarray:
    """How often each group occurs in each sample, float64 [SAMPLES, groups]."""
    drawn = np.random.default_rng(_SEED).integers(0, groups, [SAMPLES, groups])
    cells = drawn + np.arange(SAMPLES)[:, np.newaxis] * groups
    return np.bincount(cells.ravel(), minlength=SAMPLES * groups).reshape(SAMPLES, groups).astype(np.float64)


def interval(values: np.ndarray) -> tuple[float, float] | None:
    """The central interval with `LEVEL` of the sample values, [SAMPLES].

    Ignores samples in which the metric is undefined; None if it is undefined in all.
    """
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def point(groups: GroupSums, value: Callable[[np.ndarray], np.ndarray]) -> float | None:
    """The metric over all examples; None if undefined."""
    found = float(value(groups.total))
    return found if np.isfinite(found) else None
