"""Sampling variance of the macro-averaged area under the ROC curve.

The AUC is not a function of sums over examples. Its structural components are, for each example, the fraction of
examples of the other side that are ranked correctly relative to it: DeLong, DeLong and Clarke-Pearson, Comparing the
areas under two or more correlated receiver operating characteristic curves (1988). Bootstrapping the mean of these
components gives the interval. Scores are counted in bins evenly spaced in log-odds, which bounds memory.
"""

import numpy as np

_EDGES = 1 / (1 + np.exp(-np.linspace(-24, 17, 4000)))
_BINS = len(_EDGES) + 1
MOST_CLASSES = 1000
"""No AUC interval is computed for more classes; it would take too much memory."""


class AucAccumulator:
    """Counts the scores of all examples by class in a first pass, and computes the components in a second."""

    def __init__(self, classes: int) -> None:
        self._own = np.zeros([classes, _BINS])
        self._rest = np.zeros([classes, _BINS])

    def count(self, true: np.ndarray, scores: np.ndarray) -> None:
        """Counts a batch of examples.

        Args:
            true: Class membership, bool [batch, classes].
            scores: [batch, classes].
        """
        cells = (np.arange(len(self._own)) * _BINS + self._bins(scores)).ravel()
        own, rest = (
            np.bincount(cells, weights=which.ravel(), minlength=self._own.size).reshape(self._own.shape)
            for which in (true, ~true)
        )
        self._own += own
        self._rest += rest

    def components(self, true: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Structural components of a batch, float64 [batch]; their mean over all examples is the AUC.

        NaN if no class has both positive and negative examples. Arguments as `count`.
        """
        own, rest = self._own.sum(axis=1), self._rest.sum(axis=1)
        defined = np.flatnonzero((own > 0) & (rest > 0))
        if not len(defined):
            return np.full(len(true), np.nan)
        own, rest, count = own[defined], rest[defined], own[defined] + rest[defined]
        of_own, of_rest = self._own[defined] / own[:, np.newaxis], self._rest[defined] / rest[:, np.newaxis]
        above_rest = np.cumsum(of_rest, axis=1) - of_rest / 2
        below_own = 1 - np.cumsum(of_own, axis=1) + of_own / 2
        area = (of_own * above_rest).sum(axis=1)
        bins, classes = self._bins(scores)[:, defined], np.arange(len(defined))
        varies = np.where(
            true[:, defined],
            (above_rest[classes, bins] - area) * count / own,
            (below_own[classes, bins] - area) * count / rest,
        )
        return (area + varies).mean(axis=1)

    @staticmethod
    def _bins(scores: np.ndarray) -> np.ndarray:
        return np.searchsorted(_EDGES, scores)
