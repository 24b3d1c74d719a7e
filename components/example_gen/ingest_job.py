"""A data file to ingest, and the result."""

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf
from pydantic import Field

from hubline.artifacts.examples import SplitPart
from hubline.artifacts.pins import PinnedFile
from hubline.artifacts.splits import SPLITS
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import ColumnTypes, Contract
from hubline.core.config_base import Section
from hubline.core.errors import DataError

QUARANTINE = "quarantine"
"""File of quarantined records. The list next to it has one line per record, in the same order."""

UNPARSED = "it cannot be parsed as a tf.Example"
"""Reason for a record that Python accepts and TensorFlow rejects."""
# Fixed for ever: with another key every record would land in another split.
_HASH_KEY = [0x48B1_1E5E, 0x7EC0_DE5A]


class Stratum(Section):
    """The records of a class, and the bounds on their hashes between the splits. `strata` explains them."""

    key: str
    """The class, with a character for each byte."""
    validation: int
    """Hash from which records are in the validation split."""
    test: int
    """Hash from which they are in the test split."""


class Recipe(Section):
    """How to ingest each data file of a run."""

    split: HashSplit | None
    """How to split the records; None if files are split, and all records of a file belong to its `group`."""
    contract: Contract
    policy: Literal["fail", "quarantine"]
    """Whether bad records stop the run or are quarantined."""
    where: str | None = None
    """The condition that records must meet; others are left out before they are checked."""
    below: int | None = None
    """The bound below which a record's hash must be; None for all. See `selector`."""


class Job(Recipe):
    """A data file to ingest, with everything that the result depends on."""

    file: PinnedFile
    group: str
    """The file's split, if files rather than records are split."""
    strata: tuple[Stratum, ...] = ()
    """The classes of `data.split.stratify`."""
    copied: str | None = Field(default=None, exclude=True)
    """A temporary copy of the file on this machine, if its store cannot be read by TensorFlow."""

    @classmethod
    def of(cls, recipe: Recipe, file: PinnedFile, group: str, strata: tuple[Stratum, ...] = ()) -> "Job":
        """The job for a file."""
        return cls(file=file, group=group, strata=strata, **dict(recipe))

    @property
    def path(self) -> str:
        """Where to read the file. Messages and results name `file.path`."""
        return self.copied or self.file.path

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the file's records may belong to."""
        return SPLITS if self.split else (self.group,)


class IngestResult(Section):
    """The result for one file, or for several small files taken together."""

    parts: tuple[SplitPart, ...]
    """One per split, in a file named after it."""
    compression: Literal["", "GZIP"] = ""
    """Compression of the parts; not empty only if the data file was copied as a whole."""
    kind: ColumnTypes | None = None
    """Dtypes of the records; None without valid records."""
    quarantined_records: int = 0
    """Number of quarantined records."""
    unseen: tuple[str, ...] = ()
    """Columns that `data.where` names and no record of the file has."""


def split_of(keys: tf.Tensor | Sequence[bytes], split: HashSplit) -> tf.Tensor:
    """Index in `SPLITS` of each record's split.

    The keyed SipHash of the key (`tf.strings.to_hash_bucket_strong`) modulo the sum of the shares decides.

    Args:
        keys: Serialized records or, with `split.group`, the keys that `split_keys` makes of them, string [batch].
        split: The shares.

    Returns:
        int64 [batch].
    """
    shares = tf.constant([getattr(split, name) for name in SPLITS], tf.int64)
    buckets = tf.strings.to_hash_bucket_strong(keys, split.train + split.validation + split.test, _HASH_KEY)
    return tf.searchsorted(tf.cumsum(shares), buckets, side="right", out_type=tf.int64)


def broken(job: Job, number: int, fault: str) -> DataError:
    """The error for a record that violates the contract."""
    return DataError(f"{job.file.path}: record {number} (counted from 0): {fault}")


def damaged(job: Job, number: int, fault: str) -> DataError:
    """The error for an unreadable record."""
    return DataError(
        f"{job.file.path}: record {number} (counted from 0) cannot be read: the file is truncated or corrupt, or is no "
        f"TFRecord file ({fault})"
    )
