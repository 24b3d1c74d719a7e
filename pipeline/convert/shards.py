"""Splits a stream of records into TFRecord files."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, repeat
from pathlib import Path

import numpy as np
import tensorflow as tf

SHARD_BYTES = 100_000_000
"""Default size of a shard, before compression."""

# A record's length with its checksum, and the checksum of its data.
_FRAMING = 16


def write_shards(batches: Iterable[tf.Tensor], folder: Path, rows: int, shards: int | None, gzip: bool) -> list[str]:
    """Writes records in order to files `data-00000-of-00004.tfrecord`.

    Args:
        batches: Serialized records, string of shape [batch].
        folder: The output folder.
        rows: Number of records.
        shards: Number of files with equal numbers of records; None for files of `SHARD_BYTES`.
        gzip: Whether to compress the files.

    Returns:
        The names of the files.

    Raises:
        tf.errors.OpError: if a file cannot be written.
    """
    parts = _cut(batches, _bytes, repeat(SHARD_BYTES))
    if shards:
        sizes = (rows // shards + (shard < rows % shards) for shard in range(shards))
        parts = _cut(batches, _ones, chain(sizes, repeat(rows)))
    paths = []
    for number, part in groupby(parts, key=lambda part: part[0]):
        paths.append(folder / f"{number}")
        with tf.io.TFRecordWriter(str(paths[-1]), "GZIP" if gzip else "") as writer:
            for _, records in part:
                # Twice as fast as `trainer/tfrecord_writer.py` for records this small.
                for record in records.numpy():
                    writer.write(record)
    ending = "tfrecord.gz" if gzip else "tfrecord"
    names = [f"data-{number:05}-of-{len(paths):05}.{ending}" for number in range(len(paths))]
    for path, name in zip(paths, names, strict=True):
        path.rename(folder / name)
    return names


def _cut(
    batches: Iterable[tf.Tensor], weigh: Callable[[tf.Tensor], np.ndarray], limits: Iterator[int]
) -> Iterator[tuple[int, tf.Tensor]]:
    """Pieces of the batches, each with the number of its shard. A shard weighs no more than its limit, or contains one
    record."""
    number, room, empty = 0, next(limits), True
    for batch in batches:
        ends = np.cumsum(weigh(batch))
        done, weight = 0, 0
        while done < len(ends):
            count = int(np.searchsorted(ends[done:] - weight, room, side="right"))
            if not count and not empty:
                number, room, empty = number + 1, next(limits), True
                continue
            count = max(1, count)
            yield number, batch[done : done + count]
            done += count
            room, weight, empty = room - (ends[done - 1] - weight), ends[done - 1], False


def _bytes(records: tf.Tensor) -> np.ndarray:
    return tf.strings.length(records).numpy().astype(np.int64) + _FRAMING


def _ones(records: tf.Tensor) -> np.ndarray:
    return np.ones(len(records), np.int64)
