"""Summarizes stored numeric predictions, with samples and an even selection of points, in one pass and bounded
memory."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, LABEL, RECORD
from hubline.core.float64 import PARTS, from_parts
from hubline.core.number_format import shown
from hubline.core.tfrecords import read_batches
from hubline.report.labels.evaluation import EvaluationFiles
from hubline.report.labels.predictions import Sample, ValuePredictions

_MOST_POINTS = 4000
"""Maximum number of points in a readable chart."""
_PER_BATCH = 4096


def summarize(files: EvaluationFiles, samples: int) -> ValuePredictions:
    """Summarizes predictions, with up to `samples` of the worst ones."""
    points = np.zeros([0, 2])
    count, step = 0, 1
    wrong: list[Sample] = []
    for record, true, predicted in _batches(files.predictions):
        # Every `step`-th record; `step` doubles when there are too many points.
        points = np.concatenate([points, np.stack([true, predicted], axis=1)[-count % step :: step]])
        count += len(record)
        while len(points) > _MOST_POINTS:
            points, step = points[::2], step * 2
        off = np.abs(predicted - true)
        worst = np.argsort(-off, kind="stable")[:samples]
        found = [_sample(int(record[row]), float(true[row]), float(predicted[row])) for row in worst]
        wrong = sorted([*wrong, *found], key=lambda sample: (-sample.score, sample.record))[:samples]
    return ValuePredictions(right=(), wrong=wrong, count=count, true=points[:, 0], predicted=points[:, 1])


def _batches(files: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Indices of records, int64 [batch], and true and predicted values, float64 [batch]."""
    spec = {
        RECORD: tf.io.FixedLenFeature([], tf.int64),
        LABEL: tf.io.FixedLenFeature([PARTS], tf.float32),
        CANDIDATE: tf.io.FixedLenFeature([PARTS], tf.float32),
    }
    for path in files:
        for _, examples in read_batches(path, _PER_BATCH):
            columns = tf.io.parse_example(examples, spec)
            yield columns[RECORD].numpy(), from_parts(columns[LABEL]).numpy(), from_parts(columns[CANDIDATE]).numpy()


def _sample(record: int, true: float, predicted: float) -> Sample:
    return Sample(
        record=record,
        label=shown(true, commas=True),
        predicted=shown(predicted, commas=True),
        score=abs(predicted - true),
    )
