"""Reads users' TFRecord files: GZIP or plain, and sometimes damaged."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Literal

import google_crc32c

from hubline.core import storage
from hubline.core.errors import DataError, tensorflow_reason
from hubline.core.lazy_import import tf

GZIP_MAGIC = b"\x1f\x8b\x08"
"""First bytes of a GZIP file with deflate compression."""

HEADER = struct.Struct("<QI")
"""Start of a record: the length of its data and a checksum of the length."""

_HEAD = 1 << 12


def read_batches(path: str, batch_size: int = 1024) -> Iterable[tuple[int, tf.Tensor]]:
    """The records of a file in batches, each with the index of its first record.

    Raises:
        DataError: if the file ends within a record or is damaged; names the record.
    """
    first = 0
    with storage.on_disk(path) as local:
        dataset = tf.data.TFRecordDataset(local, compression_type=compression_of(local)).batch(batch_size)
        iterator = iter(dataset)
        while True:
            try:
                batch = next(iterator)
            except StopIteration:
                return
            except tf.errors.OpError as error:
                raise DataError(_damage(path, local, error)) from error
            yield first, batch
            first += int(batch.shape[0])


def _damage(path: str, local: str, error: tf.errors.OpError) -> str:
    readable = 0
    try:
        for _ in tf.data.TFRecordDataset(local, compression_type=compression_of(local)):
            readable += 1
    except tf.errors.OpError as again:
        error = again
    return (
        f"{path}: record {readable} (counted from 0) cannot be read: the file is truncated or corrupt, or is no "
        f"TFRecord file ({tensorflow_reason(error)})"
    )


def compression_of(path: str) -> Literal["", "GZIP"]:
    """Whether a file is GZIP-compressed, judged by its first bytes rather than its name.

    Raises:
        DataError: if it is compressed with ZLIB, which TFRecord files may be.
    """
    with storage.open_binary(path) as file:
        head = file.read(_HEAD)
    if is_zlib(head):
        raise DataError(
            f"{path}: its records are compressed with ZLIB, which isn't supported; rewrite them with GZIP, for "
            f"example with tf.io.TFRecordWriter(path, 'GZIP') from tf.data.TFRecordDataset('{path}', 'ZLIB')"
        )
    # The third byte (deflate) rules out a plain file whose first record has such a length.
    return "GZIP" if head.startswith(GZIP_MAGIC) else ""


def is_zlib(head: bytes) -> bool:
    """Whether the first bytes of a file decompress, with ZLIB, to the start of a record."""
    try:
        return begins_record(zlib.decompressobj().decompress(head, HEADER.size))
    except zlib.error:
        return False


def begins_record(head: bytes) -> bool:
    """Whether bytes start with the length of a record and a matching checksum."""
    return len(head) >= HEADER.size and HEADER.unpack_from(head)[1] == masked_crc(head[:8])


def masked_crc(data: bytes) -> int:
    """Masked CRC32C of TFRecords: https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details"""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
