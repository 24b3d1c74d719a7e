"""Record counts that are checked while reading: a split is read to its last record, or the step stops."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import tensorflow as tf

from hubline.core.counts import hold
from hubline.core.errors import DamageError, tensorflow_reason
from hubline.core.shard_dataset import read_file


class CountedSplit(Protocol):
    """A split, as records and as rows."""

    @property
    def records(self) -> Sequence[str]:
        """TFRecord files of its records."""

    @property
    def rows(self) -> Sequence[str]:
        """TFRecord files of its rows."""

    @property
    def count(self) -> int:
        """Number of rows."""

    @property
    def undecodable(self) -> Sequence[int]:
        """Indices of the records without a row."""


def complete(records: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Makes reading fail at the end unless there are `count` records; see `holding`."""
    return records.apply(tf.data.experimental.assert_cardinality(count))


@contextmanager
def holding(splits: Mapping[str, CountedSplit]) -> Iterator[None]:
    """Explains which split has lost records if reading it fails.

    Args:
        splits: Splits that are read in the context, each through `complete`, by name.

    Raises:
        DamageError: if reading failed and a split doesn't contain all that was written.
    """
    try:
        yield
    except (tf.errors.FailedPreconditionError, tf.errors.DataLossError):
        for name, split in splits.items():
            hold(f"the records of the split '{name}'", _count(split.records), split.count + len(split.undecodable))
            hold(f"the rows of the split '{name}'", _count(split.rows), split.count)
        raise


def _count(files: Sequence[str]) -> int:
    """Number of records in the files.

    Raises:
        DamageError: if a file is truncated or corrupt.
    """
    found = 0
    for file in files:
        try:
            found += int(read_file(tf.constant(file)).reduce(0, lambda count, _: count + 1))
        except tf.errors.DataLossError as error:
            raise DamageError(f"{file}: the file is damaged: {tensorflow_reason(error)}") from error
    return found
