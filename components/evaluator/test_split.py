"""Reads the test split."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from hubline.core.shard_dataset import read_decodable, read_records
from hubline.trainer.counts import complete

_BATCH_BYTES = 32 << 20
_MOST, _MOST_IMAGES, _MOST_PIXELS = 1024, 64, 16 << 20
"""Limits of a batch. Decoded images are many times larger than the records, hence the lower limit for them; the last
limit is in bytes, and takes effect for clips."""


@dataclass(frozen=True)
class TestSplit:
    """Files of the test split, or of one of its shards: records and rows."""

    records: Sequence[str]
    rows: Sequence[str]
    count: int
    """Number of rows."""
    undecodable: Sequence[int]
    """Numbers of the records without a row."""
    recipe: str | None
    """Identifies the cached vectors in the rows; None if they contain none."""
    largest: int
    """Size of the largest record in bytes."""
    has_images: bool
    """Whether the records contain images. Rows never do."""
    pixels: int = 0
    """Bytes of a record's images after decoding."""
    first: int = 0
    """Number of the first record, for a part of the test split."""

    __test__ = False  # not a test class, in spite of its name

    def decodable(self) -> tf.data.Dataset:
        """The records that have a row, in order."""
        return complete(read_decodable(self.records, self.undecodable, in_order=True), self.count)

    def both(self) -> tf.data.Dataset:
        """Pairs of a record and its row."""
        return tf.data.Dataset.zip((self.decodable(), self._rows()))

    def batches(self, rows_only: bool) -> tf.data.Dataset:
        """Batches of ((number, row), record); the record is empty with `rows_only`."""
        most = min(_MOST_IMAGES, _MOST_PIXELS // max(self.pixels, 1)) if self.has_images and not rows_only else _MOST
        size = max(1, min(most, _BATCH_BYTES // max(self.largest, 1)))
        extra_columns = tf.data.Dataset.from_tensors("").repeat() if rows_only else self.decodable()
        return tf.data.Dataset.zip((self._numbered(), extra_columns)).batch(size).prefetch(tf.data.AUTOTUNE)

    def _numbered(self) -> tf.data.Dataset:
        """Pairs of a record's number and its row, in order."""
        missing = tf.constant(list(self.undecodable), tf.int64)
        numbers = tf.data.Dataset.range(self.count + len(self.undecodable))
        numbers = numbers.filter(lambda number: tf.reduce_all(number != missing))
        return tf.data.Dataset.zip((numbers.map(lambda number: self.first + number), self._rows()))

    def _rows(self) -> tf.data.Dataset:
        return complete(read_records(self.rows, in_order=True), self.count)
