"""Compares predictions with known labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubline.components.predictor.predict import Prediction
from hubline.core.config_base import Section
from hubline.core.errors import UserError

EVALUATION = "evaluation.json"
"""File with the metrics, next to the predictions."""


class LabelAccuracy(Section):
    """Accuracy and top-k accuracy of predictions on labelled records."""

    label: str
    """Column of the known class."""
    records: int
    accuracy: float
    top: int
    """The k of `top_accuracy`."""
    top_accuracy: float

    @property
    def metrics(self) -> dict[str, float]:
        """The metrics under their usual names."""
        return {"accuracy": self.accuracy, f"top_{self.top}_accuracy": self.top_accuracy}


@dataclass(frozen=True)
class GroundTruth:
    """Where records hold their class."""

    column: str
    classes: tuple[str, ...]
    """Class names that integer labels index; empty if labels are names."""
    top: int
    """Number of top predicted classes to consider."""

    def rank(self, prediction: Prediction) -> int | None:
        """Rank of the known class among the top predicted classes, from 0; None if it is not among them.

        Raises:
            UserError: if the model predicts no class.
        """
        name = self._name(prediction.item.data)
        best = _best(prediction.answer.json_values)[: self.top]
        return best.index(name) if name in best else None

    def _name(self, record: bytes) -> str | None:
        feature = tf.train.Example.FromString(record).features.feature[self.column]
        if feature.bytes_list.value:
            return feature.bytes_list.value[0].decode(errors="replace")
        (number,) = feature.int64_list.value
        if not self.classes:
            return str(number)
        return self.classes[number] if 0 <= number < len(self.classes) else None

    def evaluated(self, ranks: Sequence[int], records: int) -> LabelAccuracy:
        """Accuracies over all records.

        Args:
            ranks: Number of records by rank of their class.
            records: Number of all records.
        """
        return LabelAccuracy(
            label=self.column,
            records=records,
            accuracy=sum(ranks[:1]) / max(records, 1),
            top=self.top,
            top_accuracy=sum(ranks) / max(records, 1),
        )


def _best(json_values: Any) -> list[str]:
    """Predicted classes, best first."""
    if "top" in json_values:
        return [one["label"] for one in json_values["top"]]
    if isinstance(json_values.get("scores"), dict) and "label" in json_values:
        # The label first: with a decision threshold, another class may have the highest score.
        scores = json_values["scores"]
        return sorted(scores, key=lambda name: (name != json_values["label"], -scores[name]))
    raise UserError("label: is the known class of each record, but this model doesn't predict a class; remove label")
