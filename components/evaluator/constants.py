"""Predictions that ignore the record: the best constant for each metric, fitted on the training split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from hubline.components.evaluator.labels.reader import ROWS_AT_ONCE, Reader
from hubline.trainer.counts import complete
from hubline.trainer.inputs import read_records
from hubline.trainer.metric_names import Metric


@dataclass(frozen=True)
class TrainingSplit:
    """The training split, as records and as rows."""

    records: Sequence[str]
    rows: Sequence[str]
    count: int
    """Rows."""
    undecodable: Sequence[int]
    """The numbers of the records without a row."""


@dataclass(frozen=True)
class Constants:
    """The best constant answers."""

    usual: np.ndarray
    """For every metric that `special` does not name, as a model's answer is kept, [n]."""
    usual_is: str
    """What it is, in words."""
    special: dict[Metric, tuple[np.ndarray, str]] = field(default_factory=dict)
    """For a metric another, and what it is."""
    words: dict[Metric, str] = field(default_factory=dict)
    """Where the usual answer comes to something that has other words."""

    def answer(self, metric: Metric) -> str:
        """What is answered always, in words."""
        return self.special[metric][1] if metric in self.special else self.words.get(metric, self.usual_is)

    def told(self, metric: Metric, candidate: np.ndarray) -> np.ndarray:
        """The constant beside each answer of a model, as these are kept, [batch, n]."""
        constant = self.special[metric][0] if metric in self.special else self.usual
        return np.broadcast_to(constant, (len(candidate), len(constant)))


def truths(reader: Reader, split: TrainingSplit) -> Iterator[np.ndarray]:
    """The truth of the rows of the training split in batches, [batch, n], as it is kept."""
    rows = complete(read_records(split.rows), split.count).batch(ROWS_AT_ONCE)
    yield from rows.map(reader.truth, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator()
