"""Interface that every kind of label implements for the Evaluator: converts labels and predictions to columns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from hubline.artifacts.predictions import LABEL, PredictionsMetadata
from hubline.components.evaluator.exported_model import ExportedModel
from hubline.components.evaluator.test_split import TestSplit
from hubline.preprocessing.columns import ParsingSpec, present
from hubline.preprocessing.kinds.kind import Columns
from hubline.preprocessing.labels.label import LabelKind
from hubline.trainer.inputs import Tensors

ROWS_AT_ONCE = 1024
"""Batch size for reading rows."""


@dataclass(frozen=True)
class Facts:
    """What all records and models say, and a reader needs. Readers are made from facts in several processes."""

    predicted: PredictionsMetadata
    known: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The classes of each model, in the order of its scores."""


class Reader(ABC):
    """Converts labels of records, and predictions of models, to the columns of stored predictions."""

    label: LabelKind
    answers: Sequence[str]
    """Names of the required model outputs."""
    kept: Sequence[str]
    """The float outputs, which are the same for a record and its row."""

    def __init__(self, label: LabelKind, spec: ParsingSpec, facts: Facts) -> None:
        """Prepares what every batch needs.

        Args:
            label: The label.
            spec: Parsing spec of the label's columns.
            facts: As `survey` finds them.
        """
        self.label = label
        self.spec = spec
        self.facts = facts

    @classmethod
    def survey(
        cls, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ExportedModel]
    ) -> Facts:
        """Finds what depends on all records and models.

        Args:
            label: The label.
            spec: Parsing spec of the label's columns.
            split: The records.
            models: By name; each has the outputs `answers`.

        Raises:
            ServingModelError: if the serving version cannot be compared with.
        """
        return Facts(PredictionsMetadata(label.kind))

    @property
    def predicted(self) -> PredictionsMetadata:
        """Kind of label, and the classes."""
        return self.facts.predicted

    def seen(self, outputs: Mapping[str, Tensors]) -> dict[str, float]:
        """Sums over a batch that `notes` needs, by model."""
        return {}

    def notes(self, seen: Mapping[str, float]) -> list[str]:
        """Sentences on differences between the two models that affect the comparison.

        Args:
            seen: Averages of `seen` over all records.
        """
        return []

    @abstractmethod
    def truth(self, records: tf.Tensor) -> tf.Tensor:
        """Labels of serialized records or rows, string [batch]; shape [batch, n]."""

    @abstractmethod
    def predictions(self, model: str, answer: Tensors) -> tf.Tensor:
        """The part of a model's output to store, shape [batch, n]."""

    def compared(self, records: tf.Tensor, rows: tf.Tensor, outputs: Mapping[str, Tensors]) -> Tensors:
        """The columns to store besides the record numbers, by name.

        Args:
            records: Serialized records, string [batch]; empty if all models predict on rows.
            rows: The records' rows, string [batch].
            outputs: Outputs of each model.
        """
        predictions = {name: self.predictions(name, answer) for name, answer in outputs.items()}
        return {LABEL: self.truth(rows)} | self.extra_columns(rows) | predictions

    def masks(self, outputs: Mapping[str, Tensors]) -> tf.Tensor | None:
        """The candidate's masks as PNGs, string [batch]; None for other labels."""
        return None

    def extra_columns(self, records: tf.Tensor) -> Tensors:
        """Further columns to store, by name, each of shape [batch, n]."""
        return {}

    def read(self, records: tf.Tensor) -> Columns:
        """Parses the label's columns."""
        return columns(records, self.spec)


def columns(records: tf.Tensor, spec: ParsingSpec) -> Columns:
    """Parses columns of serialized records, string [batch]."""
    parsed = tf.io.parse_example(records, spec)
    return lambda column: present(parsed[column])
