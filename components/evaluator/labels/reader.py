"""What every kind of label has for Evaluator: how its truth and what models predict become columns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import tensorflow as tf

from hubline.artifacts.predictions import LABEL, Predicted
from hubline.components.evaluator.exported_model import ServedModel
from hubline.components.evaluator.test_split import TestSplit
from hubline.preprocessing.columns import ParsingSpec, present
from hubline.preprocessing.kinds.kind import Columns
from hubline.preprocessing.labels.label import LabelKind
from hubline.trainer.inputs import Tensors

ROWS_AT_ONCE = 1024
"""Rows that are read together."""


class Reader(ABC):
    """Reads what is true of records, and what models predict, as columns of predictions."""

    label: LabelKind
    answers: Sequence[str]
    """What a model must answer, by name."""
    kept: Sequence[str]
    """The numbers among them, which a model gives of a record and of its row alike."""

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ServedModel]
    ) -> None:
        """Finds out what must be known of all records and models beforehand.

        Args:
            label: What is true of a record.
            spec: How the label's columns are parsed.
            split: The records.
            models: By name; each answers what `answers` names.

        Raises:
            ServingFault: where what serves cannot be compared with.
        """
        self.label = label
        self.spec = spec
        self.predicted = Predicted(label.kind)

    @property
    def notes(self) -> list[str]:
        """How the two models differ in what they can be compared by, a sentence each."""
        return []

    @abstractmethod
    def truth(self, records: tf.Tensor) -> tf.Tensor:
        """Of serialized records or rows, string of shape [batch], what is true, shape [batch, n]."""

    @abstractmethod
    def told(self, model: str, answer: Tensors) -> tf.Tensor:
        """What is kept of a model's answer, shape [batch, n]."""

    def compared(self, records: tf.Tensor, rows: tf.Tensor, asked: Mapping[str, Tensors]) -> Tensors:
        """What is kept of some records beside their numbers, by the name of its column.

        Args:
            records: Serialized, string of shape [batch]; nothing of them where all models answer from rows.
            rows: Their rows, likewise.
            asked: What each model answered.
        """
        told = {name: self.told(name, answer) for name, answer in asked.items()}
        return {LABEL: self.truth(rows)} | self.beside(rows) | told

    def masks(self, asked: Mapping[str, Tensors]) -> tf.Tensor | None:
        """What the candidate says of each pixel, as PNGs, string of shape [batch]; None of other labels."""
        return None

    def beside(self, records: tf.Tensor) -> Tensors:
        """What else is kept of serialized records, by the name of its column, each of shape [batch, n]."""
        return {}

    def read(self, records: tf.Tensor) -> Columns:
        """The columns of the label in serialized records."""
        parsed = tf.io.parse_example(records, self.spec)
        return lambda column: present(parsed[column])
