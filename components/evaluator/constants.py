"""Baseline predictions that ignore the record: the best constant for each metric, fitted on the training split."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from hubline.components.evaluator.labels.reader import ROWS_AT_ONCE, Reader
from hubline.core.shard_dataset import read_records
from hubline.trainer.counts import complete
from hubline.trainer.metric_names import Metric, MetricName


@dataclass(frozen=True)
class TrainingSplit:
    """Files of the training split: records and rows."""

    records: Sequence[str]
    rows: Sequence[str]
    count: int
    """Number of rows."""
    undecodable: Sequence[int]
    """Numbers of the records without a row."""


def _none(metric: MetricName) -> None:
    return None


@dataclass(frozen=True)
class ConstantPredictions:
    """The best constant predictions."""

    default: np.ndarray
    """Optimal for every metric not in `special`; in the format of stored predictions, [n]."""
    default_description: str
    """Description of `default`."""
    special: Callable[[MetricName], tuple[np.ndarray, str] | None] = _none
    """The constant for a metric with a different optimum, with its description."""
    words: Callable[[MetricName], str | None] = _none
    """Describes `default` for a metric for which it amounts to something else."""

    def answer(self, metric: Metric) -> str:
        """Describes the constant for a metric."""
        name = MetricName.parse(metric)
        _, description = self.special(name) or (None, self.words(name) or self.default_description)
        return description

    def predictions(self, metric: Metric, candidate: np.ndarray) -> np.ndarray:
        """The constant for a metric, broadcast to a batch of predictions, [batch, n]."""
        constant, _ = self.special(MetricName.parse(metric)) or (self.default, "")
        return np.broadcast_to(constant, (len(candidate), len(constant)))


def truths(reader: Reader, split: TrainingSplit) -> Iterator[np.ndarray]:
    """Labels of the training split's rows, in batches [batch, n] in their stored format."""
    rows = complete(read_records(split.rows), split.count).batch(ROWS_AT_ONCE)
    yield from rows.map(reader.truth, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator()
