"""Intervals of metrics by the bootstrap: samples of the examples, drawn with replacement, from a fixed seed.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13, the percentile interval. Sums of examples are
kept, not the examples: of more than some thousands of these, groups that were put together as they came are drawn, so
that memory and time are bounded. Sums of groups vary as those of their examples do.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

LEVEL = 0.95
"""Of the intervals."""
SAMPLES = 1000
_SEED = 20_131
_MOST_GROUPS, _MOST_NUMBERS = 4096, 1 << 22


class Groups:
    """Sums over groups of examples, float64 [groups, k]."""

    def __init__(self, examples: int, width: int) -> None:
        """Nothing is counted yet of so many examples with so many numbers each."""
        self.sums = np.zeros([max(1, min(examples, _MOST_GROUPS, _MOST_NUMBERS // width)), width])
        self._counted = 0

    def add(self, values: np.ndarray) -> None:
        """Counts the next examples, float64 [batch, k]."""
        groups = len(self.sums)
        for begin in range(0, len(values), groups):
            some = values[begin : begin + groups]
            self.sums[(self._counted + np.arange(len(some))) % groups] += some
            self._counted += len(some)

    @property
    def total(self) -> np.ndarray:
        """The sums over all examples, [k]."""
        return self.sums.sum(axis=0)

    def drawn(self) -> np.ndarray:
        """The sums over each sample, [SAMPLES, k]: of the same groups in the same order for all that is compared."""
        return _weights(len(self.sums)) @ self.sums


@lru_cache(maxsize=4)
def _weights(groups: int) -> np.ndarray:
    """How often each group is in each sample, float64 [SAMPLES, groups]."""
    drawn = np.random.default_rng(_SEED).integers(0, groups, [SAMPLES, groups])
    cells = drawn + np.arange(SAMPLES)[:, np.newaxis] * groups
    return np.bincount(cells.ravel(), minlength=SAMPLES * groups).reshape(SAMPLES, groups).astype(np.float64)


def interval(values: np.ndarray) -> tuple[float, float] | None:
    """The bounds that hold `LEVEL` of the values of samples, [SAMPLES]; those in which a metric is not defined are left
    out. None where it is defined in none."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def point(groups: Groups, value: Callable[[np.ndarray], np.ndarray]) -> float | None:
    """The metric over all examples; None where it is not defined."""
    found = float(value(groups.total))
    return found if np.isfinite(found) else None
