"""Serializes an item's example, in one of many threads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from hubline.pipeline.convert.collection import Bad, Collection, Item, Row, Values
from hubline.pipeline.convert.columns import shown
from hubline.pipeline.convert.kinds import CellType
from hubline.preprocessing.encoded_images import IMAGE_MAGIC

_RECORD_BYTES = 2**31 - 2**16
"""Maximum size of a record: protocol buffers are limited to 2 GiB."""


@dataclass(frozen=True)
class Record:
    """A serialized example, with what is shown of it."""

    serialized: bytes
    seen: Mapping[str, tuple[int, str | None]]
    """Number of values and the first value, in words, by column."""
    classes: Sequence[str]
    changes: Sequence[str]


def record_of(collection: Collection[Item], item: Item) -> Record | str:
    """The record of an item, or why there is none."""
    try:
        made = collection.make(item)
        return Record(
            _serialized(made.row, collection.columns, collection.steps),
            {name: _glance(made.row.get(name, ())) for name in collection.columns},
            [
                value.decode() if isinstance(value, bytes) else str(value)
                for value in made.row.get(collection.label, ())
            ],
            made.changes,
        )
    except Bad as bad:
        return str(bad)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"


def _glance(values: Values) -> tuple[int, str | None]:
    """Number of values, and the first in a few words."""
    if not values:
        return 0, None
    first = values[0]
    if isinstance(first, bytes):
        for form, magic in IMAGE_MAGIC.items():
            if first.startswith(magic):
                return len(values), f"{form}, {len(first):,} bytes"
    return len(values), shown(first)


def _serialized(row: Row, columns: Mapping[str, CellType], steps: frozenset[str]) -> bytes:
    """A row as tf.Example, or as tf.SequenceExample if there are steps; columns are sorted by name."""
    if sum(len(value) for values in row.values() for value in values if isinstance(value, bytes)) > _RECORD_BYTES:
        raise Bad("is larger than 2 GiB, the limit of a record")

    # Filled in place: constructors would copy images from message to message.
    record = tf.train.SequenceExample() if steps else tf.train.Example()
    context = record.context if steps else record.features
    for name, values in row.items():
        if name in steps:
            feature_list = record.feature_lists.feature_list[name].feature
            for value in values:
                _fill(feature_list.add(), columns[name], [value])
        elif values:
            _fill(context.feature[name], columns[name], values)
    return record.SerializeToString(deterministic=True)


def _fill(feature: tf.train.Feature, kind: CellType, values: Values) -> None:
    getattr(feature, f"{kind.stored}_list").value.extend(values)
