"""How the area under the ROC curve, in the mean of the classes, varies with the examples.

The area is no metric of sums. Its structural components are, of each example the share of the examples of the other
side that it is ranked rightly against: DeLong, DeLong and Clarke-Pearson, Comparing the areas under two or more
correlated receiver operating characteristic curves (1988). With these in place of examples, the bootstrap of a mean
gives its interval. Scores are counted in bins, evenly spaced in log-odds, so that memory is bounded.
"""

import numpy as np

_EDGES = 1 / (1 + np.exp(-np.linspace(-24, 17, 4000)))
_BINS = len(_EDGES) + 1
MOST_CLASSES = 1000
"""With more there are no intervals of the area, which would take too much memory."""


class Areas:
    """The scores of all examples by class, counted in a first pass; their components in a second."""

    def __init__(self, classes: int) -> None:
        """Nothing is counted yet."""
        self._own = np.zeros([classes, _BINS])
        self._rest = np.zeros([classes, _BINS])

    def count(self, true: np.ndarray, scores: np.ndarray) -> None:
        """Counts examples: whether they are of each class, bool, and their scores, both [batch, classes]."""
        cells = (np.arange(len(self._own)) * _BINS + self._bins(scores)).ravel()
        own, rest = (
            np.bincount(cells, weights=which.ravel(), minlength=self._own.size).reshape(self._own.shape)
            for which in (true, ~true)
        )
        self._own += own
        self._rest += rest

    def components(self, true: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """What examples contribute, float64 [batch]: the area is the mean over all examples. NaN where no class has
        both examples that are of it and examples that are not. Arguments as for `count`."""
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
