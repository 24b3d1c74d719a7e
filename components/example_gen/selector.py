"""Which records are ingested: those that meet `data.where` and that `data.take` takes."""

from dataclasses import dataclass
from enum import IntEnum

import tensorflow as tf

from hubline.components.example_gen.ingest_job import Job
from hubline.components.example_gen.where import Where, where_in_file, where_in_record
from hubline.preprocessing.examples import flattened

BUCKETS = 1 << 62
# Fixed for ever, as the key of splits, and another one, so that each split keeps its share.
_HASH_KEY = [0x7A6B_11D5, 0x1C3E_9F42]


class Reason(IntEnum):
    """Why a record is left out."""

    KEPT = 0
    WHERE = 1
    """It does not meet the condition."""
    NO_VALUE = 2
    """A column of the condition has no value, or several."""
    TAKE = 3
    """It is not among the records to take."""


LACKING = Reason.WHERE, Reason.NO_VALUE
LEFT_OUT = (*LACKING, Reason.TAKE)


@dataclass(frozen=True)
class Selector:
    """Selects records; the same ones in whatever order, file or process they are read."""

    where: Where | None
    below: int | None
    """Records are taken whose hash is below this, out of `BUCKETS`; None for all."""

    def reasons(self, records: tf.Tensor, examples: tf.Tensor) -> tf.Tensor:
        """The `Reason` of each record of a batch, int64 [batch].

        Args:
            records: Serialized records, string [batch].
            examples: The same as tf.Examples.

        Raises:
            tf.errors.InvalidArgumentError: as `Where.look`.
        """
        reasons = tf.fill(tf.shape(records), tf.constant(Reason.KEPT, tf.int64))
        if self.below is not None:
            reasons = tf.where(hashes(records) < self.below, reasons, tf.cast(Reason.TAKE, tf.int64))
        if self.where is not None:
            met, there = self.where.look(examples)
            reasons = tf.where(met, reasons, tf.where(there, *(tf.cast(why, tf.int64) for why in LACKING)))
        return reasons


def hashes(records: tf.Tensor) -> tf.Tensor:
    """A keyed SipHash of each serialized record, int64 [batch], from 0 to `BUCKETS`."""
    return tf.strings.to_hash_bucket_strong(records, BUCKETS, _HASH_KEY)


def selector_of(job: Job) -> tuple[Selector | None, tuple[str, ...]]:
    """The selector for the records of a file, if not all are ingested, and the columns of the condition that none of
    them has.

    Raises:
        DataError: as `where_in_file`.
    """
    if job.where is None:
        return (None if job.below is None else Selector(None, job.below)), ()
    where, unseen = where_in_file(job.where, job.path, job.file.path)
    return Selector(where, job.below), unseen


def reason_of(job: Job, record: bytes) -> Reason:
    """The same for one record, which may have columns of other types than the records before it.

    Raises:
        DataError: as `where_in_file`.
    """
    where = None if job.where is None else where_in_record(job.where, record, job.file.path)
    if where is None and job.below is None:
        return Reason.KEPT
    records = tf.constant([record])
    try:
        return Reason(int(Selector(where, job.below).reasons(records, flattened(records))[0]))
    except tf.errors.OpError:  # not a tf.Example, which the contract says
        return Reason.KEPT
