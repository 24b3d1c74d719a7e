"""Exact sizes of the splits within each class of `data.split.stratify`.

The records of a class are ranked by their hashes. The first belong to the training split, the next to validation and
the last to test, so that two bounds on the hash say which. Equal records have the same hash, and stay together. Records
that are bad or left out have no part in the ranks.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from hubline.components.config.selection import MOST_TAKEN
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import ColumnTypes
from hubline.components.example_gen.ingest_job import Job, Stratum
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.components.example_gen.selector import BUCKETS, Reason, reason_of, selector_of
from hubline.components.example_gen.split_keys import key_of_record, keys_of
from hubline.core import interruption, storage
from hubline.core.errors import DataError
from hubline.core.tfrecord_recovery import RecoveredRecord, salvage
from hubline.core.tfrecords import compression_of
from hubline.preprocessing.examples import flattened

_BATCH = 256
MOST_CLASSES = 1000
# Fixed for ever, as the key of splits, and another one than those of `take` and of splits by hash alone.
_HASH_KEY = [0x51A7_1F1E, 0x0D5E_C0DE]

Hashes = Mapping[bytes, np.ndarray]
"""Hashes of records by class, int64 [records of the class]."""


def strata_of(parts: Sequence[Hashes], split: HashSplit) -> tuple[Stratum, ...]:
    """The bounds of each class.

    Args:
        parts: The hashes of parts of the data.
        split: The sizes.
    """
    found = []
    for name in sorted({name for part in parts for name in part}):
        ranked = np.unique(np.concatenate([part[name] for part in parts if name in part]))
        train, validation, _ = sizes(len(ranked), split)
        bounds = [int(ranked[at]) if at < len(ranked) else BUCKETS for at in (train, train + validation)]
        found.append(Stratum(key=name.decode("latin-1"), validation=bounds[0], test=bounds[1]))
    return tuple(found)


def refuse_too_much(parts: Iterable[Hashes], column: str) -> None:
    """Checks that the records and classes are few enough to be ranked in memory.

    Raises:
        DataError: otherwise.
    """
    counts: Counter[bytes] = Counter()
    for part in parts:
        counts.update({name: len(hashes) for name, hashes in part.items()})
    if len(counts) > MOST_CLASSES:
        raise DataError(
            f"data.split.stratify: the column '{column}' has {len(counts):,} values; it is for columns of up to "
            f"{MOST_CLASSES:,} classes"
        )
    if counts.total() > MOST_TAKEN:
        raise DataError(
            f"data.split.stratify is for up to {MOST_TAKEN:,} records, and there are {counts.total():,}; with so many, "
            "splits by hash alone have nearly the same share of each class; remove it"
        )


def sizes(count: int, split: HashSplit) -> tuple[int, int, int]:
    """Numbers of records in training, validation and test: in proportion to the shares, rounded, but from two records
    on at least one in training and test, and from three on in each."""
    total = split.train + split.validation + split.test
    held_out: list[int] = []
    for share, least in ((split.test, 2), (split.validation, 3)):
        left = count - 1 - sum(held_out) - (count >= 3 and not held_out)
        held_out.append(min(max(round(count * share / total), 1), left) if count >= least else 0)
    test, validation = held_out
    return count - validation - test, validation, test


def places_of(records: tf.Tensor, keys: tf.Tensor, strata: Sequence[Stratum], otherwise: tf.Tensor) -> tf.Tensor:
    """Index in `SPLITS` of each record's split, int64 [batch].

    Args:
        records: Serialized records, string [batch].
        keys: Their classes, as `split_keys` makes them, string [batch].
        strata: The bounds of the classes.
        otherwise: The index for a record whose class has no bounds, because it is bad or left out, int64 [batch].
    """
    if not strata:
        return otherwise
    names = tf.constant([stratum.key.encode("latin-1") for stratum in strata])
    is_of = keys[:, tf.newaxis] == names
    of = tf.argmax(tf.cast(is_of, tf.int8), axis=1)
    hashed = _hashes(records)
    bounds = tf.constant([[stratum.validation, stratum.test] for stratum in strata], tf.int64)
    places = tf.reduce_sum(tf.cast(hashed[:, tf.newaxis] >= tf.gather(bounds, of), tf.int64), axis=1)
    return tf.where(tf.reduce_any(is_of, axis=1), places, otherwise)


def class_hashes(jobs: Sequence[Job], column: str) -> dict[bytes, np.ndarray]:
    """Hashes by class, each int64 [records], of the valid records of some files that `where` and `take` leave.

    Args:
        jobs: The files.
        column: The column of classes.
    """
    found: dict[bytes, list[np.ndarray]] = {}
    for job in jobs:
        with storage.on_disk(job.file.path) as path:
            copied = job.model_copy(update={"copied": path})
            try:
                batches = list(_batches(copied, column))
            except (tf.errors.OpError, UnicodeDecodeError):  # damaged, or of several types
                batches = list(_one_by_one(copied, column))
        for keys, hashed in batches:
            for name in np.unique(keys):
                found.setdefault(name, []).append(hashed[keys == name])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _batches(job: Job, column: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Classes, bytes [records], and hashes."""
    selector, _ = selector_of(job)
    kind = _kind(job)
    if kind is None:
        return
    dtype = tf.as_dtype(kind.dtypes(job.contract)[column])
    for records in tf.data.TFRecordDataset(job.path, compression_of(job.path)).batch(_BATCH).prefetch(1):
        interruption.check()
        examples = flattened(records)
        keys = keys_of(records, examples, column, dtype)
        kept = are_sound(examples, job.contract, kind)
        if selector is not None:
            kept &= selector.reasons(records, examples) == Reason.KEPT
        yield tf.boolean_mask(keys, kept).numpy(), tf.boolean_mask(_hashes(records), kept).numpy()


def _one_by_one(job: Job, column: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    kind = None
    for record in salvage(job.path):
        interruption.check()
        if _is_valid(job, record, kind):
            kind = kind_of(record.data, job.contract, kind)
            key = key_of_record(record.data, column)
            yield np.array([key], object), _hashes(tf.constant([record.data])).numpy()


def _is_valid(job: Job, record: RecoveredRecord, kind: ColumnTypes | None) -> bool:
    is_there = not record.fault and reason_of(job, record.data) == Reason.KEPT
    return is_there and find_fault(record.data, job.contract, kind) is None


def _kind(job: Job) -> ColumnTypes | None:
    """The dtypes of a file's first valid records; None if there are none."""
    kind = None
    for record in salvage(job.path):
        if _is_valid(job, record, kind):
            kind = kind_of(record.data, job.contract, kind)
            if kind.label:
                break
    return kind


def _hashes(records: tf.Tensor) -> tf.Tensor:
    """A keyed SipHash of each serialized record, int64 [batch], from 0 to `BUCKETS`."""
    return tf.strings.to_hash_bucket_strong(records, BUCKETS, _HASH_KEY)
