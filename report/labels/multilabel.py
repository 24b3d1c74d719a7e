"""Summarizes stored multilabel predictions, with samples, in one pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, LABEL, RECORD, SERVING
from hubline.core.tfrecords import read_batches
from hubline.report.labels.evaluation import EvaluationFiles
from hubline.report.labels.predictions import ClassCounts, MultilabelPredictions, Sample
from hubline.report.scores import MOST_CLASSES, Scores, batch_size

_NAMED = 8
"""Maximum number of classes named for a record."""
_SURE = 1e-7
"""Scores are clipped to this distance from 0 and 1 for the cross-entropy, which would be infinite for an unknown
class."""


@dataclass(frozen=True)
class _Batch:
    """A batch of predictions: `record` int64 [batch]; true and predicted classes bool and scores float32, all [batch,
    classes]."""

    record: np.ndarray
    true: np.ndarray
    chosen: np.ndarray
    candidate: np.ndarray
    serving: np.ndarray | None


def summarize(files: EvaluationFiles, samples: int) -> MultilabelPredictions:
    """Summarizes predictions, with up to `samples` of the worst ones."""
    classes = files.classes
    counts = np.zeros([3, len(classes)], np.int64)
    curves = (Scores(len(classes)), Scores(len(classes))) if len(classes) <= MOST_CLASSES else ()
    wrong: list[Sample] = []
    for batch in _batches(files.predictions, len(classes)):
        positives = batch.chosen
        counts += [batch.true.sum(axis=0), positives.sum(axis=0), (batch.true & positives).sum(axis=0)]
        for scores, outputs in zip(curves, (batch.candidate, batch.serving), strict=False):
            if outputs is not None:
                scores.count(np.nonzero(batch.true), outputs)
        found = _worst(batch, classes, samples)
        wrong = sorted([*wrong, *found], key=lambda sample: (-sample.score, sample.record))[:samples]
    return MultilabelPredictions(
        classes=classes,
        counts=ClassCounts(*counts),
        roc=curves[0].curves() if curves else {},
        overall=curves[0].overall() if curves else None,
        serving_auc=curves[1].areas() if curves else {},
        right=(),
        wrong=wrong,
    )


def _batches(files: Sequence[str], classes: int) -> Iterator[_Batch]:
    spec = {
        RECORD: tf.io.FixedLenFeature([], tf.int64),
        LABEL: tf.io.FixedLenFeature([classes], tf.int64),
        CANDIDATE: tf.io.FixedLenFeature([2 * classes], tf.float32),
        # Zeros mean that no version is in serving.
        SERVING: tf.io.FixedLenFeature([2 * classes], tf.float32, [0.0] * 2 * classes),
    }
    for path in files:
        for _, examples in read_batches(path, batch_size(classes)):
            rows = {name: column.numpy() for name, column in tf.io.parse_example(examples, spec).items()}
            serving = rows[SERVING][:, :classes] if rows[SERVING].any() else None
            scores, chosen = np.split(rows[CANDIDATE], 2, axis=1)
            yield _Batch(rows[RECORD], rows[LABEL] > 0, chosen > 0.5, scores, serving)


def _worst(batch: _Batch, classes: Sequence[str], most: int) -> list[Sample]:
    """The records with the largest cross-entropy among those with a wrong class."""
    scores = np.clip(batch.candidate.astype(np.float64), _SURE, 1 - _SURE)
    loss = -np.log(np.where(batch.true, scores, 1 - scores)).mean(axis=1)
    positives = batch.chosen
    rows = np.flatnonzero((positives != batch.true).any(axis=1))
    return [
        Sample(
            record=int(batch.record[row]),
            label=_named(batch.true[row], classes),
            predicted=_named(positives[row], classes),
            score=float(loss[row]),
        )
        for row in rows[np.argsort(-loss[rows], kind="stable")[:most]]
    ]


def _named(which: np.ndarray, classes: Sequence[str]) -> str:
    names = [classes[index] for index in np.flatnonzero(which)]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more or "none"
