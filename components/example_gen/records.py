"""The columns of one serialized record, in Python."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, Literal

import tensorflow as tf

from hubline.core.errors import DataError


def columns_of(record: bytes) -> Mapping[str, tf.train.Feature]:
    """Parses a serialized record; flattens SequenceExamples as `examples.flattened` does.

    Raises:
        DataError: if it is not a record, or cannot be flattened.
    """
    try:
        # An Example's features and a SequenceExample's context are the same field, of the same type, on the wire.
        sequence = tf.train.SequenceExample.FromString(record)
    except Exception as error:  # the exception type depends on the protobuf version
        raise DataError(f"not a tf.Example ({error})") from error
    columns, lists = sequence.context.feature, sequence.feature_lists.feature_list
    twice = sorted(set(columns) & set(lists))
    if twice:
        raise DataError(f"its column '{twice[0]}' is both in its context and among its feature lists; rename one")
    for name, steps in sorted(lists.items()):
        with_values = [step for step in steps.feature if _list(step)]
        types = sorted({step.WhichOneof("kind") for step in with_values})
        if len(types) > 1:
            raise DataError(f"the steps of its feature list '{name}' are of several types: {', '.join(types)}")
        for step in with_values:
            columns[name].MergeFrom(step)
    return columns


def values_of(columns: Mapping, name: str) -> list[Any]:
    """The values of a column; an empty list if the record lacks the column."""
    return _list(columns[name]) if name in columns else []


def _list(feature: tf.train.Feature) -> list[Any]:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def label_type(columns: Mapping, name: str) -> Literal["string", "int64", ""]:
    """Dtype of a column of classes, whose list may be empty; "" for any other type."""
    if name in columns and columns[name].HasField("bytes_list"):
        return "string"
    return "int64" if name in columns and columns[name].HasField("int64_list") else ""


def value_type(feature: tf.train.Feature) -> Literal["string", "int64", "float32"]:
    """Dtype of a column that has values."""
    return "string" if feature.WhichOneof("kind") == "bytes_list" else number_type(feature)


def number_type(feature: tf.train.Feature) -> Literal["int64", "float32"]:
    """Dtype of a numeric column."""
    return "int64" if feature.WhichOneof("kind") == "int64_list" else "float32"


def count_fault(columns: Mapping, name: str, what: str) -> str | None:
    """Describes why a column doesn't have exactly one value; None if it has.

    Args:
        columns: The columns of the record.
        name: The column.
        what: What the column holds, such as `image`.
    """
    values = values_of(columns, name)
    if len(values) == 1:
        return None
    if values:
        return f"its {what} '{name}' has {len(values)} values; it must have one"
    if name in columns:
        return f"its {what} '{name}' has no value"
    return f"it has no {what} '{name}'{absent(columns, name)}"


def absent(columns: Mapping, name: str) -> str:
    """The columns there are in place of one that a record lacks, for the end of a message."""
    # A condition such as a-b > 1 refers to columns a and b, but the column a-b may have been meant.
    parts = [column for column in sorted(columns) if name in re.split(r"\W+", column)]
    close = [*difflib.get_close_matches(name, columns, n=1, cutoff=0.7), *parts]
    quoted = "" if not close or close[0].isidentifier() else " (where: takes such a name in double quotes)"
    meant = f"; did you mean '{close[0]}'{quoted}? Its" if close else "; its"
    return f"{meant} columns are: {', '.join(sorted(columns)) or 'none'}"
