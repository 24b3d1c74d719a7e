"""Baseline predictions that ignore the record: the best constant for each metric, fitted on the training split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from hubline.components.evaluator.labels.reader import ROWS_AT_ONCE, Reader
from hubline.core.shard_dataset import read_records
from hubline.trainer.counts import complete
from hubline.trainer.metric_names import Metric


@dataclass(frozen=True)
class TrainingSplit:
    """Files of the training split: records and rows."""

    records: Sequence[str]
    rows: Sequence[str]
    count: int
    """Number of rows."""
    undecodable: Sequence[int]
    """Numbers of the records without a row."""


@dataclass(frozen=True)
class ConstantPredictions:
    """The best constant predictions."""

    default: np.ndarray
    """Optimal for every metric not in `special`; in the format of stored predictions, [n]."""
    default_description: str
    """Description of `default`."""
    special: dict[Metric, tuple[np.ndarray, str]] = field(default_factory=dict)
    """Constants for metrics with a different optimum, with their descriptions."""
    words: dict[Metric, str] = field(default_factory=dict)
    """Descriptions of `default` for metrics for which it amounts to something else."""

    def answer(self, metric: Metric) -> str:
        """Describes the constant for a metric."""
        return self.special[metric][1] if metric in self.special else self.words.get(metric, self.default_description)

    def predictions(self, metric: Metric, candidate: np.ndarray) -> np.ndarray:
        """The constant for a metric, broadcast to a batch of predictions, [batch, n]."""
        constant = self.special[metric][0] if metric in self.special else self.default
        return np.broadcast_to(constant, (len(candidate), len(constant)))


def truths(reader: Reader, split: TrainingSplit) -> Iterator[np.ndarray]:
    """Labels of the training split's rows, in batches [batch, n] in their stored format."""
    rows = complete(read_records(split.rows), split.count).batch(ROWS_AT_ONCE)
    yield from rows.map(reader.truth, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator()
