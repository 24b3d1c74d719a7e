"""Summarizes stored class-and-box predictions, with samples, in one pass and bounded memory."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, LABEL, OBJECTS, RECORD, SERVING
from hubline.core.tfrecords import read_batches
from hubline.report.labels.evaluation import EvaluationFiles
from hubline.report.labels.predictions import BoxPredictions, Sample
from hubline.report.scores import MOST_CLASSES, Batch, Tally, batch_size
from hubline.trainer.boxes import iou

BINS = 20
"""Bins of the IoU histogram."""
_RIGHT = 0.5
"""Lowest IoU at which a box counts as correct."""


def summarize(files: EvaluationFiles, samples: int) -> BoxPredictions:
    """Summarizes predictions, with up to `samples` correct predictions and as many of the worst ones."""
    classes = files.classes
    tally = Tally(len(classes)) if len(classes) <= MOST_CLASSES else None
    histogram = np.zeros(BINS, np.int64)
    sums = np.zeros([len(classes), 2])  # of the IoU and of records, by true class
    several = 0
    right: dict[int, Sample] = {}
    wrong: list[Sample] = []
    for batch, pairs, objects in _batches(files.predictions, len(classes)):
        predicted = batch.candidate.argmax(axis=1)
        if tally:
            tally.take(batch, predicted)
        overlap = np.minimum(iou(pairs[:, 0], pairs[:, 1]).numpy(), 1.0)  # rounding may lift it above 1
        histogram += np.histogram(overlap, bins=BINS, range=(0.0, 1.0))[0]
        np.add.at(sums, batch.label, np.stack([overlap, np.ones_like(overlap)], axis=1))
        several += int((objects > 1).sum())

        def sample(row: int, batch: Batch = batch, pairs: np.ndarray = pairs, overlap: np.ndarray = overlap) -> Sample:
            return Sample(
                record=int(batch.record[row]),
                label=classes[batch.label[row]],
                predicted=classes[batch.candidate[row].argmax()],
                score=float(overlap[row]),
                boxes=pairs[row].tolist(),
            )

        are_right = (predicted == batch.label) & (overlap >= _RIGHT)
        for row in np.flatnonzero(are_right):
            if len(right) < samples and batch.label[row] not in right:
                right[batch.label[row]] = sample(int(row))
        worst = np.flatnonzero(~are_right)
        found = [sample(int(row)) for row in worst[np.argsort(overlap[worst], kind="stable")[:samples]]]
        wrong = sorted([*wrong, *found], key=lambda sample: (sample.score, sample.record))[:samples]
    return BoxPredictions(
        classes=classes,
        confusion=tally.confusion if tally else None,
        roc=tally.candidate.curves() if tally else {},
        overall=tally.candidate.overall() if tally else None,
        serving_auc=tally.serving.areas() if tally else {},
        right=sorted(right.values(), key=lambda sample: sample.record),
        wrong=wrong,
        count=int(sums[:, 1].sum()),
        several=several,
        iou=histogram,
        mean_iou={index: total / count for index, (total, count) in enumerate(sums.tolist()) if count},
    )


def _batches(files: Sequence[str], classes: int) -> Iterator[tuple[Batch, np.ndarray, np.ndarray]]:
    """The class predictions; true and predicted box, float32 [batch, 2, 4]; and the number of objects, int64
    [batch]."""
    width = classes + 4
    spec = {
        RECORD: tf.io.FixedLenFeature([], tf.int64),
        LABEL: tf.io.FixedLenFeature([5], tf.float32),
        OBJECTS: tf.io.FixedLenFeature([], tf.int64),
        CANDIDATE: tf.io.FixedLenFeature([width], tf.float32),
        # Zeros mean that no version is in serving.
        SERVING: tf.io.FixedLenFeature([width], tf.float32, [0.0] * width),
    }
    for path in files:
        for _, examples in read_batches(path, batch_size(classes)):
            rows = {name: column.numpy() for name, column in tf.io.parse_example(examples, spec).items()}
            true, candidate, serving = rows[LABEL], rows[CANDIDATE], rows[SERVING]
            scores = Batch(
                rows[RECORD], true[:, 0].astype(np.int64), candidate[:, :-4], serving[:, :-4] if serving.any() else None
            )
            yield scores, np.stack([true[:, 1:], candidate[:, -4:]], axis=1), rows[OBJECTS]
