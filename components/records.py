"""Reads TFRecord files as users give them: GZIP or plain, and now and then damaged."""

from collections.abc import Iterable
from typing import Literal

import tensorflow as tf

from components import storage
from preprocessing.errors import DataError, tensorflow_reason

GZIP_MAGIC = b"\x1f\x8b\x08"
"""What a GZIP file begins with, deflate being its method."""


def read_batches(path: str, batch_size: int = 1024) -> Iterable[tuple[int, tf.Tensor]]:
    """The records of one file in batches, each with the number of its first record, counted from 0.

    Raises:
        DataError: where the file ends in the middle of a record or is damaged; names the record.
    """
    first = 0
    compression = compression_of(path)
    dataset = tf.data.TFRecordDataset(path, compression_type=compression).batch(batch_size)
    iterator = iter(dataset)
    while True:
        try:
            batch = next(iterator)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise DataError(_damage(path, error)) from error
        yield first, batch
        first += int(batch.shape[0])


def _damage(path: str, error: tf.errors.OpError) -> str:
    readable = 0
    try:
        for _ in tf.data.TFRecordDataset(path, compression_type=compression_of(path)):
            readable += 1
    except tf.errors.OpError as again:
        error = again
    return (
        f"{path}: record {readable} (counted from 0) cannot be read: the file is truncated or corrupt, or is no "
        f"TFRecord file ({tensorflow_reason(error)})"
    )


def compression_of(path: str) -> Literal["", "GZIP"]:
    """Whether a file is GZIP, by its first bytes and not by its name."""
    with storage.open_binary(path) as file:
        # The third byte, deflate, tells it from a plain file whose first record happens to be of such a length.
        return "GZIP" if file.read(len(GZIP_MAGIC)) == GZIP_MAGIC else ""
