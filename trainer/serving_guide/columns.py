"""Raw columns of tf.Examples as inputs of the signature `PREDICT`."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.core.json_arrays import plain

MISSING: dict[str, Any] = {"string": "", "int64": np.iinfo(np.int64).min, "float32": "NaN"}
"""Stands for a missing value in `PREDICT`, by dtype."""
_DTYPES = {"bytes_list": tf.string, "int64_list": tf.int64, "float_list": tf.float32}


def only(record: bytes, columns: Collection[str]) -> tf.train.Example:
    """A tf.Example with only these columns; above all, without the label."""
    whole = tf.train.Example.FromString(record)
    found = {column: whole.features.feature[column] for column in columns if values_of(whole, column)}
    return tf.train.Example(features=tf.train.Features(feature=found))


def values_of(example: tf.train.Example, column: str) -> list[Any]:
    """The values of a column; none if the example lacks the column."""
    feature = example.features.feature
    if column not in feature:
        return []
    kind = feature[column].WhichOneof("kind")
    return list(getattr(feature[column], kind).value) if kind else []


def column_array(dtype: tf.DType, is_list: bool, records: Sequence[Sequence[Any]]) -> np.ndarray:
    """A column of several records.

    Args:
        dtype: Of the input.
        is_list: Whether the input takes several values per record.
        records: The values of each record.

    Returns:
        Shape [batch], or [batch, n] for lists, of which shorter ones are filled at the end with what stands for a
        missing value.
    """
    length = max(1, *map(len, records)) if is_list else 1
    filled = [[*values[:length], *[MISSING[dtype.name]] * (length - len(values))] for values in records]
    array = _typed([value for values in filled for value in values], dtype)
    return array.reshape(len(records), length) if is_list else array


def _typed(values: Sequence[Any], dtype: tf.DType) -> np.ndarray:
    """Values as an array of a dtype, texts as bytes."""
    array = np.empty(len(values), dtype.as_numpy_dtype)  # of objects, for strings
    array[:] = [value.encode() if dtype == tf.string and isinstance(value, str) else value for value in values]
    return array


def json_features(example: tf.train.Example) -> dict[str, Any]:
    """A tf.Example in the JSON of Classify and Regress requests: one value or a list by column."""
    return {column: _json_feature(column, example) for column in sorted(example.features.feature)}


def _json_feature(column: str, example: tf.train.Example) -> Any:
    dtype = _DTYPES[example.features.feature[column].WhichOneof("kind")]
    values = plain(column, _typed(values_of(example, column), dtype))
    return values[0] if len(values) == 1 else values
