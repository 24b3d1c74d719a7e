"""Keys of records: the value of the column that `data.split.group` or `data.split.stratify` names.

A record without a valid value is bad, or left out by `data.where`; its key is the record itself. A text and an integer
that are written alike have the same key."""

from collections.abc import Mapping

import tensorflow as tf

from hubline.components.example_gen.records import columns_of, values_of
from hubline.core.errors import DataError


def keys_of(records: tf.Tensor, examples: tf.Tensor, column: str, dtype: tf.DType) -> tf.Tensor:
    """The keys of a batch. Agrees with `key_of_record`.

    Args:
        records: Serialized records, string [batch].
        examples: The same as tf.Examples.
        column: The column.
        dtype: Its dtype in this file.

    Returns:
        string [batch].

    Raises:
        tf.errors.InvalidArgumentError: if an item is not a tf.Example, or the column has another dtype.
    """
    spec = {column: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)}
    parsed: Mapping[str, tf.RaggedTensor] = tf.io.parse_example(examples, spec)
    values = parsed[column]
    if dtype.is_floating:
        return records
    texts = values.values if dtype == tf.string else tf.strings.as_string(values.values)
    # An empty last row starts behind the last value; the appended text stands in for it.
    first = tf.gather(tf.concat([texts, [""]], axis=0), values.row_starts())
    return tf.where((values.row_lengths() == 1) & (first != ""), first, records)


def key_of_record(record: bytes, column: str) -> bytes:
    """The key of one serialized record."""
    try:
        values = values_of(columns_of(record), column)
    except DataError:
        return record
    if len(values) != 1 or isinstance(values[0], float):
        return record
    (value,) = values
    return (value if isinstance(value, bytes) else str(value).encode()) or record
