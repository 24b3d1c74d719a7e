"""Predicts on items in batches, and isolates the ones that fail."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import tensorflow as tf

from hubline.components.predictor.inputs import InputChunk, InputType, Item, batches
from hubline.components.predictor.json_records import text_of
from hubline.components.predictor.model import Answer, Model
from hubline.core.config_base import Section
from hubline.core.errors import DataError, tensorflow_reason
from hubline.preprocessing.examples import keep

BadPolicy = Literal["fail", "skip"]

_NOT_TAKEN = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, UnicodeDecodeError)
"""Raised by TensorFlow for undecodable images, records without a column, and bytes that are not a record; the last one
if the message quotes such bytes."""


class BadItem(Section):
    """An item that could not be predicted on."""

    input: str
    """Its file."""
    record: int | None
    """Number of the record in the file, from 0; None for an image."""
    reason: str

    def __str__(self) -> str:
        """One line with file, record and reason."""
        where = self.input if self.record is None else f"{self.input}: record {self.record} (counted from 0)"
        return f"{where}: {self.reason}"


@dataclass(frozen=True)
class Prediction:
    """The prediction on an item."""

    item: Item
    key: dict[str, Any]
    """The item's key under `key`, if a key column was requested."""
    answer: Answer

    @property
    def row(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"input": self.item.input, "record": self.item.record, **self.key, **self.answer.json_values}


def predictions(
    model: Model,
    pieces: Iterable[InputChunk],
    batch_size: int,
    key: str | None,
    policy: BadPolicy,
    on_bad_item: Callable[[BadItem], None],
) -> Iterator[Prediction]:
    """Predicts on all items, in order.

    Args:
        model: The model.
        pieces: The items.
        batch_size: Maximum number of items per batch.
        key: Column to copy into the predictions as their key.
        policy: Whether an item that cannot be predicted on is an error, or is passed to `on_bad_item`.
        on_bad_item: Receives bad items.

    Raises:
        DataError: if an item is bad and `policy` is "fail"; names the item.
    """

    def ask(input_type: InputType, items: Sequence[Item]) -> Iterator[Prediction]:
        try:
            keys = _keys(input_type, items, key) if key else [{}] * len(items)
            answers = model.ask(input_type, items)
        except (*_NOT_TAKEN, DataError) as error:
            if isinstance(error, DataError) and policy == "fail":
                raise
            if len(items) > 1:  # bisects the batch to find the bad item
                yield from ask(input_type, items[: len(items) // 2])
                yield from ask(input_type, items[len(items) // 2 :])
                return
            refuse(items[0], str(error) if isinstance(error, DataError) else _reason(error))
            return
        yield from map(Prediction, items, keys, answers)

    def refuse(item: Item, reason: str) -> None:
        bad = BadItem(input=item.input, record=item.record, reason=reason.removeprefix(f"{item.input}: "))
        if policy == "fail":
            raise DataError(str(bad) if bad.reason == reason else reason)
        on_bad_item(bad)

    for input_type, batch in batches(pieces, 1 if model.one_at_a_time else batch_size):
        whole = []
        for item in batch:
            if item.fault is None:
                whole.append(item)
                continue
            yield from ask(input_type, whole) if whole else ()
            whole = []
            refuse(item, item.fault)
        yield from ask(input_type, whole) if whole else ()


def _reason(error: Exception) -> str:
    why = "it is no tf.Example" if isinstance(error, UnicodeDecodeError) else tensorflow_reason(error)
    return f"it cannot be predicted on: {why}"


def _keys(input_type: InputType, items: Sequence[Item], column: str) -> list[dict[str, Any]]:
    if input_type == "example":
        kept = keep(tf.constant([item.data for item in items]), [column]).numpy()
        found = [_values(example, column) for example in kept]
    else:
        found = [[item.data[column]] if column in item.data else [] for item in items]
    for item, values in zip(items, found, strict=True):
        if not values:
            there = item.data if input_type == "json" else tf.train.Example.FromString(item.data).features.feature
            raise DataError(
                f"{item.input}: record {item.record}: no column '{column}' for --key; its columns are: "
                f"{', '.join(sorted(there)) or 'none'}"
            )
    return [{"key": values[0] if len(values) == 1 else values} for values in found]


def _values(example: bytes, column: str) -> list[Any]:
    feature = tf.train.Example.FromString(example).features.feature[column]
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    return [text_of(value) if isinstance(value, bytes) else value for value in values]
