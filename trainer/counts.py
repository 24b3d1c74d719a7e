"""Counts that are held to each other: a split is read to its last record, or the step stops."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import tensorflow as tf

from hubline.core.counts import hold
from hubline.core.errors import DamageError, tensorflow_reason
from hubline.trainer.inputs import read_file


class Counted(Protocol):
    """A split, as records and as rows."""

    @property
    def records(self) -> Sequence[str]:
        """Its TFRecord files."""

    @property
    def rows(self) -> Sequence[str]:
        """The files of its rows."""

    @property
    def count(self) -> int:
        """Rows."""

    @property
    def undecodable(self) -> Sequence[int]:
        """The numbers of the records without a row."""


def complete(records: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Records, with an error behind the last one where there are not as many as they should be; see `holding`."""
    return records.apply(tf.data.experimental.assert_cardinality(count))


@contextmanager
def holding(splits: Mapping[str, Counted]) -> Iterator[None]:
    """Says which split has lost records where reading it fails.

    Args:
        splits: Those that are read inside, each as `complete`, by name.

    Raises:
        DamageError: where reading failed, and a split doesn't hold what was written.
    """
    try:
        yield
    except (tf.errors.FailedPreconditionError, tf.errors.DataLossError):
        for name, split in splits.items():
            hold(f"the records of the split '{name}'", _count(split.records), split.count + len(split.undecodable))
            hold(f"the rows of the split '{name}'", _count(split.rows), split.count)
        raise


def _count(files: Sequence[str]) -> int:
    """The records in some files.

    Raises:
        DamageError: where one is cut or corrupt.
    """
    found = 0
    for file in files:
        try:
            found += int(read_file(tf.constant(file)).reduce(0, lambda count, _: count + 1))
        except tf.errors.DataLossError as error:
            raise DamageError(f"{file}: the file is damaged: {tensorflow_reason(error)}") from error
    return found
