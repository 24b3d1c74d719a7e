"""Reads our own TFRecord shards in TensorFlow's C++."""

from __future__ import annotations

from collections.abc import Sequence

from hubline.core.lazy_import import tf


def read_records(files: Sequence[str], in_order: bool = False) -> tf.data.Dataset:
    """The serialized records of TFRecord files; files named `.gz` are GZIP-compressed.

    Args:
        files: Paths.
        in_order: Whether to read one file after the other. Otherwise several files are read in parallel, which is
            faster; the order is deterministic either way.
    """
    return tf.data.Dataset.from_tensor_slices(list(files)).interleave(
        read_file, cycle_length=1 if in_order else min(len(files), 16), num_parallel_calls=tf.data.AUTOTUNE
    )


def read_file(file: tf.Tensor) -> tf.data.Dataset:
    """The serialized records of one TFRecord file, in order; GZIP if its name, a scalar string, ends in `.gz`."""
    compression = tf.where(tf.strings.regex_full_match(file, r"(?s).*\.gz"), "GZIP", "")
    return tf.data.TFRecordDataset(file, compression_type=compression)


def read_decodable(files: Sequence[str], undecodable: Sequence[int], in_order: bool = False) -> tf.data.Dataset:
    """The records of some files except those with the given indices, counted from 0 over all files."""
    if not undecodable:
        return read_records(files, in_order)
    missing = tf.constant(list(undecodable), tf.int64)
    return (
        read_records(files, in_order=True)
        .enumerate()
        .filter(lambda number, record: tf.reduce_all(number != missing))
        .map(lambda number, record: record)
    )
