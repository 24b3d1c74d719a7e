"""Serialized tf.Examples taken apart and put together in batches, by TensorFlow's own operations and not by Python.

Protocol buffers that are written one after the other are read as one, merged: where two serialized tf.Examples have
different columns, `tf.strings.join` of them is the tf.Example with the columns of both
(https://protobuf.dev/programming-guides/encoding/#last-one-wins).
"""

from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

_LISTS = {
    tf.float32: ("float_list", "tensorflow.FloatList"),
    tf.int64: ("int64_list", "tensorflow.Int64List"),
    tf.string: ("bytes_list", "tensorflow.BytesList"),
}


def keep(records: tf.Tensor, columns: Iterable[str]) -> tf.Tensor:
    """The records with some of their columns, and no others.

    Args:
        records: Serialized tf.Examples, string of shape [batch].
        columns: The columns that stay; a record need not have them.

    Returns:
        Serialized tf.Examples, string of shape [batch].
    """
    return _select(records, columns, stay=True)


def drop(records: tf.Tensor, columns: Iterable[str]) -> tf.Tensor:
    """The records without some of their columns; shapes as for `keep`."""
    return _select(records, columns, stay=False)


def encode(columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Tensors as serialized tf.Examples.

    Args:
        columns: By name, the values of each record: float32, int64 or string of shape [batch, values].

    Returns:
        String of shape [batch].
    """
    return assemble([piece(name, values) for name, values in columns.items()])


def piece(name: str | tf.Tensor, values: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    """One column of each record, for `assemble` to put together with others.

    Args:
        name: The column's name.
        values: Its values: float32, int64 or string of shape [batch, values]; ragged, a record without values does not
            have the column.

    Returns:
        Serialized tensorflow.Features with one entry, or the empty string; of shape [batch].
    """
    if isinstance(values, tf.RaggedTensor):
        counts = tf.cast(values.row_lengths(), tf.int32)
        values = values.to_tensor()
    else:
        counts = tf.fill([tf.shape(values)[0]], tf.shape(values)[1])
    entries = _entry(name, values, counts)
    return _features(entries[:, tf.newaxis], tf.minimum(counts, 1))


def assemble(pieces: Sequence[tf.Tensor]) -> tf.Tensor:
    """Columns put together to records.

    Args:
        pieces: What `piece` gives of each column, string of shape [batch]; the empty string where a record does not
            have it.

    Returns:
        Serialized tf.Examples, string of shape [batch].
    """
    return _example(tf.strings.join(pieces))


def _select(records: tf.Tensor, columns: Iterable[str], stay: bool) -> tf.Tensor:
    # Features has a repeated field of the number that Example's one field has: read so, a record that was put together
    # from several gives the features of each, and one without any column gives none.
    _, (features,) = tf.io.decode_proto(records, "tensorflow.Features", ["feature"], [tf.string])
    joined = tf.strings.reduce_join(features, axis=1)
    sizes, (entries,) = tf.io.decode_proto(joined, "tensorflow.Features", ["feature"], [tf.string])
    _, (keys,) = tf.io.decode_proto(entries, "tensorflow.Features.FeatureEntry", ["key"], [tf.string])
    named = tf.reduce_any(keys == tf.constant(list(columns), tf.string), axis=2)
    there = tf.sequence_mask(sizes[:, 0], tf.shape(entries)[1])
    kept = tf.ragged.boolean_mask(entries, there & (named if stay else ~named))
    return _example(_features(kept.to_tensor(), tf.cast(kept.row_lengths(), tf.int32)))


def _entry(name: str | tf.Tensor, values: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """An entry of the map of columns for each record, with so many of its values, serialized."""
    kind, message = _LISTS[values.dtype]
    batch, one = tf.shape(values)[0], tf.ones([tf.shape(values)[0], 1], tf.int32)
    lists = tf.io.encode_proto(counts[:, tf.newaxis], [values], ["value"], message)
    features = tf.io.encode_proto(one, [lists[:, tf.newaxis]], [kind], "tensorflow.Feature")
    return tf.io.encode_proto(
        tf.ones([batch, 2], tf.int32),
        [tf.fill([batch, 1], name), features[:, tf.newaxis]],
        ["key", "value"],
        "tensorflow.Features.FeatureEntry",
    )


def _features(entries: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Entries, [batch, most], of which each record has `counts`, as serialized tensorflow.Features."""
    return tf.io.encode_proto(counts[:, tf.newaxis], [entries], ["feature"], "tensorflow.Features")


def _example(features: tf.Tensor) -> tf.Tensor:
    """Serialized tensorflow.Features, [batch], as serialized tf.Examples."""
    one = tf.ones([tf.shape(features)[0], 1], tf.int32)
    return tf.io.encode_proto(one, [features[:, tf.newaxis]], ["features"], "tensorflow.Example")
