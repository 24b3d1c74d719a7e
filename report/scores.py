"""Scores of classes, counted so that ROC curves come of them in one pass and bounded memory."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import auc, roc_curve

from hubline.report.contents import Roc

MOST_CLASSES = 1000
"""With more classes there is neither a confusion matrix nor ROC curves: nobody could read them."""
_PER_BATCH = 1 << 19

# Scores are counted in bins, evenly spaced in log-odds: those of a sure model crowd at 0 and at 1.
_EDGES = (1 / (1 + np.exp(-np.linspace(-24, 17, 4000)))).astype(np.float32)
_BINS = len(_EDGES) + 1
_LEAST = np.concatenate([[0.0], _EDGES, [1.0]]).astype(np.float32)
"""The least score of each bin; one above the last, which nothing reaches, stands for the first point of a curve."""


def batch_size(classes: int) -> int:
    """How many predictions of so many classes make a batch."""
    return max(1, min(4096, _PER_BATCH // classes))


class Scores:
    """How often a class's score fell into each bin, in all records and in the class's own."""

    def __init__(self, classes: int) -> None:
        """Nothing is counted yet."""
        self._all = np.zeros([classes, _BINS], np.int64)
        self._own = np.zeros([classes, _BINS], np.int64)

    def count(self, true: tuple[np.ndarray, ...], scores: np.ndarray) -> None:
        """Counts records.

        Args:
            true: The rows and classes, both int64 of [n], where a record is of a class.
            scores: float32 of [batch, classes].
        """
        bins = np.searchsorted(_EDGES, scores)
        flat = (np.arange(len(self._all)) * _BINS + bins).ravel()
        self._all += np.bincount(flat, minlength=self._all.size).reshape(self._all.shape)
        np.add.at(self._own, (true[1], bins[true]), 1)

    def curves(self) -> dict[int, Roc]:
        """By class; there is none for a class that all records have, or none."""
        rest = self._all - self._own
        shown = np.flatnonzero(self._own.any(axis=1) & rest.any(axis=1))
        return {int(index): _roc(self._own[index], rest[index]) for index in shown}

    def overall(self) -> Roc | None:
        """That of the second of two classes; of more classes that of all of them together."""
        of = slice(1, None) if len(self._all) == 2 else slice(None)
        own, rest = self._own[of].sum(axis=0), (self._all - self._own)[of].sum(axis=0)
        return _roc(own, rest) if own.any() and rest.any() else None

    def areas(self) -> dict[int, float]:
        """The areas under them."""
        return {index: roc.auc for index, roc in self.curves().items()}


def _roc(own: np.ndarray, rest: np.ndarray) -> Roc:
    truth, bins = np.repeat([1, 0], _BINS), np.tile(np.arange(_BINS), 2)
    false, true, least = roc_curve(truth, bins, sample_weight=np.concatenate([own, rest]))
    return Roc(
        false_positives=false.astype(np.float32),
        true_positives=true.astype(np.float32),
        thresholds=_LEAST[np.minimum(least, _BINS).astype(int)],
        auc=float(auc(false, true)),
    )


@dataclass(frozen=True)
class Batch:
    """A batch of predictions: `record` and `label` int64 of [batch], scores float32 of [batch, classes]."""

    record: np.ndarray
    label: np.ndarray
    candidate: np.ndarray
    serving: np.ndarray | None


class Tally:
    """What is counted over all predictions; its size grows with the square of the number of classes."""

    def __init__(self, classes: int) -> None:
        """Nothing is counted yet."""
        self.confusion = np.zeros([classes, classes], np.int64)
        self.candidate = Scores(classes)
        self.serving = Scores(classes)

    def take(self, batch: Batch, predicted: np.ndarray) -> None:
        """Counts a batch, and what is predicted of it, int64 of [batch]."""
        np.add.at(self.confusion, (batch.label, predicted), 1)
        true = np.arange(len(batch.label)), batch.label
        self.candidate.count(true, batch.candidate)
        if batch.serving is not None:
            self.serving.count(true, batch.serving)
