"""The decision threshold between two classes with the best value of a metric."""

from collections.abc import Callable

import numpy as np

Counts = np.ndarray
"""Numbers of records of either class that are predicted right or wrong, for each threshold, [thresholds]."""


def best_threshold(true: np.ndarray, scores: np.ndarray, metric: str, name: str) -> tuple[float | None, str]:
    """The threshold with the best value of a metric, halfway between two scores; of several, the one closest to 0.5.

    Args:
        true: Whether each record is of the second class, bool [records].
        scores: Score of the second class, float32 [records].
        metric: A key of `_METRICS`.
        name: Name of the second class.

    Returns:
        The threshold, which float32 represents; None if the records have one class only. And a sentence about it.
    """
    if true.all() or not true.any():
        return None, f"no threshold with the highest {metric}: all records of the validation split are of one class"
    thresholds = _candidates(scores)
    values = _values(true, scores, thresholds, metric)
    best = np.flatnonzero(values >= values.max() - 1e-12)
    chosen = best[np.abs(thresholds[best] - 0.5).argmin()]
    threshold = float(thresholds[chosen])
    (at_half,) = _values(true, scores, np.array([0.5], np.float32), metric)
    return threshold, (
        f"the answer is '{name}' from a score of {threshold:.4g}, which has the highest {metric} on the validation "
        f"split: {values[chosen]:.4f}; with 0.5, {at_half:.4f}"
    )


def _candidates(scores: np.ndarray) -> np.ndarray:
    """One threshold for each way to divide the records, float32, ascending."""
    known = np.unique(np.concatenate([[0.0, 0.5, 1.0], scores]).astype(np.float32))
    middles = known[:-1] + (known[1:] - known[:-1]) / 2
    return np.unique(np.concatenate([np.where(middles > known[:-1], middles, known[1:]), [0.5]]).astype(np.float32))


def _values(true: np.ndarray, scores: np.ndarray, thresholds: np.ndarray, metric: str) -> np.ndarray:
    """The metric of each threshold, [thresholds]."""
    positives, negatives = np.sort(scores[true]), np.sort(scores[~true])
    missed = np.searchsorted(positives, thresholds).astype(np.float64)
    rejected = np.searchsorted(negatives, thresholds).astype(np.float64)
    return _METRICS[metric](len(positives) - missed, len(negatives) - rejected, rejected, missed)


def _f1(hits: Counts, false: Counts, missed: Counts) -> np.ndarray:
    return 2 * hits / np.maximum(2 * hits + false + missed, 1)


_METRICS: dict[str, Callable[[Counts, Counts, Counts, Counts], np.ndarray]] = {
    "f1": lambda hits, false, rejected, missed: _f1(hits, false, missed),
    "macro_f1": lambda hits, false, rejected, missed: (_f1(hits, false, missed) + _f1(rejected, missed, false)) / 2,
    "accuracy": lambda hits, false, rejected, missed: (hits + rejected) / (hits + false + rejected + missed),
    "macro_recall": lambda hits, false, rejected, missed: (hits / (hits + missed) + rejected / (rejected + false)) / 2,
}
"""By true positives, false positives, true negatives and false negatives."""
