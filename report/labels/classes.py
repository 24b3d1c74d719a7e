"""The report of labels `class` and `binary`: a confusion matrix, ROC curves and samples."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, LABEL, RECORD, SERVING
from hubline.core.tfrecords import read_batches
from hubline.report.labels.evaluation import EvaluationFiles
from hubline.report.labels.predictions import ClassPredictions, Sample
from hubline.report.scores import MOST_CLASSES, Batch, Tally, batch_size


def summarize(files: EvaluationFiles, samples: int, decided: bool = False) -> ClassPredictions:
    """Summarizes predictions, with up to `samples` correct predictions and as many of the worst wrong ones.

    Args:
        files: The evaluation.
        samples: Limit on the samples.
        decided: Whether the scores are followed by decisions; otherwise, the highest score is the prediction.
    """
    classes = files.classes
    found = _Samples(classes, samples)
    tally = Tally(len(classes)) if len(classes) <= MOST_CLASSES else None
    for batch, predicted in _batches(files.predictions, len(classes), decided):
        found.take(batch, predicted)
        if tally:
            tally.take(batch, predicted)
    return ClassPredictions(
        classes=classes,
        confusion=tally.confusion if tally else None,
        roc=tally.candidate.curves() if tally else {},
        overall=tally.candidate.overall() if tally else None,
        serving_auc=tally.serving.areas() if tally else {},
        right=sorted(found.right.values(), key=lambda sample: sample.record),
        wrong=found.wrong,
    )


def _batches(files: Sequence[str], classes: int, decided: bool) -> Iterator[tuple[Batch, np.ndarray]]:
    """Batches with their predicted classes, int64 [batch]."""
    width = 2 * classes if decided else classes
    spec = {
        RECORD: tf.io.FixedLenFeature([], tf.int64),
        LABEL: tf.io.FixedLenFeature([], tf.int64),
        CANDIDATE: tf.io.FixedLenFeature([width], tf.float32),
        # Zeros mean that no version is in serving.
        SERVING: tf.io.FixedLenFeature([width], tf.float32, [0.0] * width),
    }
    for path in files:
        for _, examples in read_batches(path, batch_size(classes)):
            rows = {name: column.numpy() for name, column in tf.io.parse_example(examples, spec).items()}
            serving = rows[SERVING][:, :classes] if rows[SERVING].any() else None
            predicted = rows[CANDIDATE][:, width - classes :].argmax(axis=1)
            yield Batch(rows[RECORD], rows[LABEL], rows[CANDIDATE][:, :classes], serving), predicted


@dataclass
class _Samples:
    """The first correct prediction of each class, and the worst wrong ones so far."""

    classes: Sequence[str]
    most: int
    right: dict[int, Sample] = field(default_factory=dict)
    wrong: list[Sample] = field(default_factory=list)

    def take(self, batch: Batch, predicted: np.ndarray) -> None:
        right = predicted == batch.label
        new = sorted(set(batch.label[right].tolist()) - self.right.keys())
        for index in new[: self.most - len(self.right)]:
            row = int(np.flatnonzero(right & (batch.label == index))[0])
            self.right[index] = self._sample(batch, row, predicted)
        rows = np.flatnonzero(~right)
        scores = batch.candidate[rows, predicted[rows]]
        worst = rows[np.argsort(-scores, kind="stable")[: self.most]]
        found = [*self.wrong, *(self._sample(batch, int(row), predicted) for row in worst)]
        self.wrong = sorted(found, key=lambda sample: (-sample.score, sample.record))[: self.most]

    def _sample(self, batch: Batch, row: int, predicted: np.ndarray) -> Sample:
        scores, label = batch.candidate[row], int(batch.label[row])
        return Sample(
            record=int(batch.record[row]),
            label=self.classes[label],
            predicted=self.classes[predicted[row]],
            score=float(scores[predicted[row]]),
            label_score=float(scores[label]),
        )
