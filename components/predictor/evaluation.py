"""What is known of records beside what a model says of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubline.components.predictor.predict import Prediction
from hubline.core.config_base import Section
from hubline.core.errors import UserError

EVALUATION = "evaluation.json"
"""The file beside predictions that says how good they are."""


class Evaluated(Section):
    """How often the known class of a record is the one that a model tells, or is among its best."""

    label: str
    """The column of the known class."""
    records: int
    accuracy: float
    top: int
    """How many of the best count for the next."""
    top_accuracy: float

    @property
    def metrics(self) -> dict[str, float]:
        """By the names that people know them by."""
        return {"accuracy": self.accuracy, f"top_{self.top}_accuracy": self.top_accuracy}


@dataclass(frozen=True)
class Truth:
    """Where records hold their class."""

    column: str
    classes: tuple[str, ...]
    """The names that integers stand for; empty where they are names themselves."""
    top: int
    """How many of a model's best classes are looked at."""

    def rank(self, prediction: Prediction) -> int | None:
        """The place of the known class among a model's best, from 0; None where it is none of these.

        Raises:
            UserError: where the model tells no class.
        """
        name = self._name(prediction.item.data)
        best = _best(prediction.answer.said)[: self.top]
        return best.index(name) if name in best else None

    def _name(self, record: bytes) -> str | None:
        feature = tf.train.Example.FromString(record).features.feature[self.column]
        if feature.bytes_list.value:
            return feature.bytes_list.value[0].decode(errors="replace")
        (number,) = feature.int64_list.value
        if not self.classes:
            return str(number)
        return self.classes[number] if 0 <= number < len(self.classes) else None

    def evaluated(self, ranks: Sequence[int], records: int) -> Evaluated:
        """The shares of all records.

        Args:
            ranks: By rank, how many records had it.
            records: How many there are.
        """
        return Evaluated(
            label=self.column,
            records=records,
            accuracy=sum(ranks[:1]) / max(records, 1),
            top=self.top,
            top_accuracy=sum(ranks) / max(records, 1),
        )


def _best(said: Any) -> list[str]:
    """The classes that an answer tells, the best first."""
    if "top" in said:
        return [one["label"] for one in said["top"]]
    if isinstance(said.get("scores"), dict) and "label" in said:
        return sorted(said["scores"], key=lambda name: -said["scores"][name])
    raise UserError("label: tells the known class of each record, and this model does not tell one; leave label out")
