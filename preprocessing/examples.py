"""Splits and assembles batches of serialized tf.Examples with TensorFlow operations, without Python per record.

Proto buffers written one after the other are read as one, merged: if two serialized tf.Examples have different columns,
their `tf.strings.join` is the tf.Example with the columns of both
(https://protobuf.dev/programming-guides/encoding/#last-one-wins).
"""

from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

_LISTS = {
    tf.float32: ("float_list", "tensorflow.FloatList"),
    tf.int64: ("int64_list", "tensorflow.Int64List"),
    tf.string: ("bytes_list", "tensorflow.BytesList"),
}

_END_STEP = b"\x7a\x00"
"""A tensorflow.Feature with only an unknown field, which no step in real data consists of."""
_END = b"\n\x02" + _END_STEP
"""The same as the single step of a tensorflow.FeatureList."""


def keep(records: tf.Tensor, columns: Iterable[str]) -> tf.Tensor:
    """Keeps only the given columns of records.

    Args:
        records: Serialized tf.Examples, string of shape [batch].
        columns: Columns to keep; a record need not have them.

    Returns:
        Serialized tf.Examples, string of shape [batch].
    """
    return _select(records, columns, stay=True)


def drop(records: tf.Tensor, columns: Iterable[str]) -> tf.Tensor:
    """Removes the given columns from records; shapes as in `keep`."""
    columns = list(columns)
    return _select(records, columns, stay=False) if columns else records


def are_sequences(records: tf.Tensor) -> tf.Tensor:
    """Which serialized tf.Examples or tf.SequenceExamples, [batch], have feature lists; bool of shape [batch].

    Raises:
        tf.errors.DataLossError: if a record is neither.
    """
    sizes, _ = _decode(records, "tensorflow.SequenceExample", "feature_lists")
    return sizes[:, 0] > 0


def flattened(records: tf.Tensor) -> tf.Tensor:
    """Converts tf.SequenceExamples to tf.Examples: each feature list becomes a column with the values of all its steps
    in a row.

    Args:
        records: Serialized, string of shape [batch]. tf.Examples stay unchanged.

    Returns:
        Serialized tf.Examples, string of shape [batch], with the context's columns unchanged. A list without values
        becomes no column.

    Raises:
        tf.errors.InvalidArgumentError: if a name occurs both in a context and among its feature lists, or the steps of
            a list have different types.
        tf.errors.DataLossError: if a record is neither.
    """
    return tf.cond(tf.reduce_any(are_sequences(records)), lambda: _flattened(records), lambda: records)


def encode(columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Serializes tensors to tf.Examples.

    Args:
        columns: Values of each record by column: float32, int64 or string of shape [batch, values].

    Returns:
        String of shape [batch].
    """
    return assemble([piece(name, values) for name, values in columns.items()])


def piece(name: str | tf.Tensor, values: tf.Tensor | tf.RaggedTensor) -> tf.Tensor:
    """Serializes one column of each record, for `assemble`.

    Args:
        name: Name of the column.
        values: float32, int64 or string of shape [batch, values]. If ragged, a record without values doesn't have the
            column.

    Returns:
        Serialized tensorflow.Features with one entry, or an empty string; of shape [batch].
    """
    if isinstance(values, tf.RaggedTensor):
        counts = tf.cast(values.row_lengths(), tf.int32)
        values = values.to_tensor()
    else:
        counts = tf.fill([tf.shape(values)[0]], tf.shape(values)[1])
    entries = _entry(name, _feature(values, counts))
    return _features(entries[:, tf.newaxis], tf.minimum(counts, 1))


def assemble(pieces: Sequence[tf.Tensor]) -> tf.Tensor:
    """Assembles columns to records.

    Args:
        pieces: Results of `piece` for each column, string of shape [batch]; empty if a record doesn't have the column.

    Returns:
        Serialized tf.Examples, string of shape [batch].
    """
    return _example(tf.strings.join(pieces))


def _select(records: tf.Tensor, columns: Iterable[str], stay: bool) -> tf.Tensor:
    entries, there, keys = _entries(_columns(records))
    # `==` would lose the static shape in a graph with several columns.
    named = tf.reduce_any(tf.equal(keys, tf.constant(list(columns), tf.string)), axis=2)
    kept = tf.ragged.boolean_mask(entries, there & (named if stay else ~named))
    return _example(_features(kept.to_tensor(), tf.cast(kept.row_lengths(), tf.int32)))


def _decode(messages: tf.Tensor, message: str, *fields: str) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """`tf.io.decode_proto` with string fields, extended to empty tensors, which it rejects."""

    def some() -> tuple[tf.Tensor, list[tf.Tensor]]:
        sizes, values = tf.io.decode_proto(messages, message, list(fields), [tf.string] * len(fields))
        return sizes, list(values)

    def none() -> tuple[tf.Tensor, list[tf.Tensor]]:
        shape = tf.shape(messages)
        values = [tf.zeros(tf.concat([shape, [0]], axis=0), tf.string) for _ in fields]
        return tf.zeros(tf.concat([shape, [len(fields)]], axis=0), tf.int32), values

    return tf.cond(tf.size(messages) > 0, some, none)


def _columns(records: tf.Tensor) -> tf.Tensor:
    """The columns of records, or of a context, as serialized tensorflow.Features; of shape [batch]."""
    # The repeated field of Features has the same number as the single field of Example. Decoded as Features, a record
    # assembled from several parts yields the features of each part, and a record without columns yields none.
    _, (features,) = _decode(records, "tensorflow.Features", "feature")
    return tf.strings.reduce_join(features, axis=1)


def _entries(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Entries of tensorflow.Features, [batch, most], a mask of the actual ones, and their keys, [batch, most, 1]."""
    sizes, (entries,) = _decode(features, "tensorflow.Features", "feature")
    _, (keys,) = _decode(entries, "tensorflow.Features.FeatureEntry", "key")
    return entries, tf.sequence_mask(sizes[:, 0], tf.shape(entries)[1]), keys


def _flattened(records: tf.Tensor) -> tf.Tensor:
    rows, names, lists = _feature_lists(records)
    steps, owners = _steps(lists)
    kinds = [kind for kind, _ in _LISTS.values()]
    _, of_steps = _decode(steps, "tensorflow.Feature", *kinds)
    values = [
        _joined(tf.strings.reduce_join(of_kind, axis=1), dtype, owners, tf.size(names))
        for of_kind, dtype in zip(of_steps, _LISTS, strict=True)
    ]
    there = tf.cast(tf.stack([tf.strings.length(of_kind) > 0 for of_kind in values], axis=1), tf.int32)
    context = _columns(records)
    _, is_column, keys = _entries(context)
    is_twice = tf.gather(is_column, rows) & tf.reduce_any(
        tf.gather(keys, rows) == names[:, tf.newaxis, tf.newaxis], axis=2
    )
    checks = [
        tf.debugging.Assert(tf.reduce_all(tf.reduce_sum(there, axis=1) <= 1), ["the steps of a list are of one type"]),
        tf.debugging.Assert(~tf.reduce_any(is_twice), ["a column is in the context or among the feature lists"]),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):  # eagerly, they are None
        features = tf.io.encode_proto(there, [each[:, tf.newaxis] for each in values], kinds, "tensorflow.Feature")
    pieces = _features(_entry(names, features)[:, tf.newaxis], tf.reduce_max(there, axis=1))
    return _example(tf.strings.join([context, tf.strings.unsorted_segment_join(pieces, rows, tf.size(records))]))


def _feature_lists(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The record's index, the name and the serialized steps of each feature list in SequenceExamples."""
    _, (maps,) = _decode(records, "tensorflow.SequenceExample", "feature_lists")
    sizes, (entries,) = _decode(tf.strings.reduce_join(maps, axis=1), "tensorflow.FeatureLists", "feature_list")
    there = tf.sequence_mask(sizes[:, 0], tf.shape(entries)[1])
    _, both = _decode(tf.boolean_mask(entries, there), "tensorflow.FeatureLists.FeatureListEntry", "key", "value")
    names, lists = (tf.strings.reduce_join(each, axis=1) for each in both)
    return tf.where(there)[:, 0], names, lists


def _steps(lists: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The steps of all lists, serialized tensorflow.Features, and the index of each step's list."""
    # Decoded as one list with an end mark after each part: decoded separately, each list would take the space of the
    # longest.
    together = tf.strings.reduce_join(tf.strings.join([lists, _END]))[tf.newaxis]
    _, (steps,) = _decode(together, "tensorflow.FeatureList", "feature")
    is_end = steps[0] == _END_STEP
    owners = tf.cumsum(tf.cast(is_end, tf.int64), exclusive=True)
    return tf.boolean_mask(steps[0], ~is_end), tf.boolean_mask(owners, ~is_end)


def _joined(steps: tf.Tensor, dtype: tf.DType, owners: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Joins serialized lists of values by owner; an empty string for an owner without values; of shape [count]."""
    if dtype == tf.string:
        return tf.strings.unsorted_segment_join(steps, owners, count)
    return _one_run(tf.strings.unsorted_segment_join(_run(steps, dtype), owners, count))


def _run(lists: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Values of FloatLists or Int64Lists, [n], as a packed run without tag and length.

    Everything is joined to a single run, because TensorFlow's parser of tf.Examples reads only one run per list.
    """

    def run(packed: tf.Tensor) -> tf.Tensor:
        # A packed run of numbers has the same bytes as a bytes field.
        _, (runs,) = _decode(packed, "tensorflow.BytesList", "value")
        return tf.strings.reduce_join(runs, axis=1)

    def packed() -> tf.Tensor:
        _, message = _LISTS[dtype]
        sizes, values = tf.io.decode_proto(lists, message, ["value"], [dtype])
        return tf.io.encode_proto(sizes, values, ["value"], message)

    as_it_is = run(lists)
    is_packed = tf.reduce_all(_one_run(as_it_is) == lists)
    return tf.cond(is_packed, lambda: as_it_is, lambda: run(packed()))


def _one_run(runs: tf.Tensor) -> tf.Tensor:
    """Serialized FloatLists or Int64Lists with one packed run each."""
    counts = tf.cast(tf.strings.length(runs) > 0, tf.int32)
    return tf.io.encode_proto(counts[:, tf.newaxis], [runs[:, tf.newaxis]], ["value"], "tensorflow.BytesList")


def _feature(values: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Serializes the first `counts` values of each record to a tensorflow.Feature."""
    kind, message = _LISTS[values.dtype]
    lists = tf.io.encode_proto(counts[:, tf.newaxis], [values], ["value"], message)
    one = tf.ones([tf.size(lists), 1], tf.int32)
    return tf.io.encode_proto(one, [lists[:, tf.newaxis]], [kind], "tensorflow.Feature")


def _entry(name: str | tf.Tensor, features: tf.Tensor) -> tf.Tensor:
    """Serialized tensorflow.Features, [n], as map entries, under one name or each under its own."""
    names = tf.broadcast_to(name, [tf.size(features)])
    return tf.io.encode_proto(
        tf.ones([tf.size(features), 2], tf.int32),
        [names[:, tf.newaxis], features[:, tf.newaxis]],
        ["key", "value"],
        "tensorflow.Features.FeatureEntry",
    )


def _features(entries: tf.Tensor, counts: tf.Tensor) -> tf.Tensor:
    """Serialized tensorflow.Features from entries, [batch, most], of which each record has `counts`."""
    return tf.io.encode_proto(counts[:, tf.newaxis], [entries], ["feature"], "tensorflow.Features")


def _example(features: tf.Tensor) -> tf.Tensor:
    """Serialized tf.Examples from serialized tensorflow.Features, [batch]."""
    one = tf.ones([tf.shape(features)[0], 1], tf.int32)
    return tf.io.encode_proto(one, [features[:, tf.newaxis]], ["features"], "tensorflow.Example")
