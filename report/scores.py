"""Histograms of class scores, from which ROC curves are computed in one pass and bounded memory."""

from dataclasses import dataclass

import numpy as np

from hubline.report.labels.predictions import Roc

MOST_CLASSES = 1000
"""With more classes, there is neither a confusion matrix nor ROC curves: nobody could read them."""
PER_BATCH = 1 << 19

# Bins are evenly spaced in log-odds, because the scores of a confident model crowd at 0 and 1.
_EDGES = (1 / (1 + np.exp(-np.linspace(-24, 17, 4000)))).astype(np.float32)
_BINS = len(_EDGES) + 1
_LEAST = np.concatenate([[0.0], _EDGES, [1.0]]).astype(np.float32)
"""Lower bound of each bin. The extra bound at the end, which no score reaches, is the first point of a curve."""


def batch_size(classes: int) -> int:
    """Number of predictions per batch."""
    return max(1, min(4096, PER_BATCH // classes))


class Scores:
    """Number of scores per class and bin, over all records and over the records of the class."""

    def __init__(self, classes: int) -> None:
        self._all = np.zeros([classes, _BINS], np.int64)
        self._own = np.zeros([classes, _BINS], np.int64)

    def count(self, true: tuple[np.ndarray, ...], scores: np.ndarray) -> None:
        """Counts records.

        Args:
            true: Rows and classes, both int64 [n], of the true classes.
            scores: float32 [batch, classes].
        """
        bins = np.searchsorted(_EDGES, scores)
        flat = (np.arange(len(self._all)) * _BINS + bins).ravel()
        self._all += np.bincount(flat, minlength=self._all.size).reshape(self._all.shape)
        np.add.at(self._own, (true[1], bins[true]), 1)

    def curves(self) -> dict[int, Roc]:
        """ROC curves by class; classes that all records have, or none, are left out."""
        rest = self._all - self._own
        shown = np.flatnonzero(self._own.any(axis=1) & rest.any(axis=1))
        return {int(index): _roc(self._own[index], rest[index]) for index in shown}

    def overall(self) -> Roc | None:
        """The curve of the second of two classes; with more classes, the micro-average."""
        of = slice(1, None) if len(self._all) == 2 else slice(None)
        own, rest = self._own[of].sum(axis=0), (self._all - self._own)[of].sum(axis=0)
        return _roc(own, rest) if own.any() and rest.any() else None

    def areas(self) -> dict[int, float]:
        """AUC by class."""
        return {index: roc.auc for index, roc in self.curves().items()}


def _roc(own: np.ndarray, rest: np.ndarray) -> Roc:
    from sklearn.metrics import auc, roc_curve  # Imported here, because it loads SciPy, which other labels don't need.

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
    """A batch of predictions: `record` and `label` int64 [batch], scores float32 [batch, classes]."""

    record: np.ndarray
    label: np.ndarray
    candidate: np.ndarray
    serving: np.ndarray | None


class Tally:
    """Counts over all predictions; memory grows with the square of the number of classes."""

    def __init__(self, classes: int) -> None:
        self.confusion = np.zeros([classes, classes], np.int64)
        self.candidate = Scores(classes)
        self.serving = Scores(classes)

    def take(self, batch: Batch, predicted: np.ndarray) -> None:
        """Counts a batch with its predicted classes, int64 [batch]."""
        np.add.at(self.confusion, (batch.label, predicted), 1)
        true = np.arange(len(batch.label)), batch.label
        self.candidate.count(true, batch.candidate)
        if batch.serving is not None:
            self.serving.count(true, batch.serving)
