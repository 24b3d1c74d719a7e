"""The records that `data.take` takes, as a bound on their hashes."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from hubline.components.config.selection import ShareOfRecords
from hubline.components.example_gen.ingest_job import Job
from hubline.components.example_gen.selector import BUCKETS, Reason, hashes, reason_of, selector_of
from hubline.core import interruption, storage
from hubline.core.tfrecord_recovery import salvage
from hubline.core.tfrecords import compression_of
from hubline.preprocessing.examples import flattened

_BATCH = 256


def bound_of_share(take: ShareOfRecords) -> int:
    """The bound below which the hashes of that share of all possible records are."""
    return round(take.share * BUCKETS)


def bound_of_count(smallest: Iterable[np.ndarray], count: int) -> int | None:
    """The largest bound below which at most `count` hashes are; None if there are not more of them.

    Args:
        smallest: The `count` + 1 smallest hashes of each part of the data.
        count: Number of records to take.
    """
    found = _smallest(np.concatenate([np.zeros(0, np.int64), *smallest]), count + 1)
    return int(found.max()) if len(found) > count else None


def smallest_hashes(jobs: Sequence[Job], count: int) -> np.ndarray:
    """The smallest hashes, int64 [at most `count`], of the records of some files that meet `data.where`."""
    found = np.zeros(0, np.int64)
    for job in jobs:
        with storage.on_disk(job.file.path) as path:
            copied = job.model_copy(update={"copied": path})
            try:
                in_file = _smallest_of(_hashes(copied), count)
            except (tf.errors.OpError, UnicodeDecodeError):  # damaged, or of several types
                in_file = _smallest_of(_hashes_one_by_one(copied), count)
        found = _smallest(np.concatenate([found, in_file]), count)
    return found


def _hashes(job: Job) -> Iterator[np.ndarray]:
    selector, _ = selector_of(job)
    for records in tf.data.TFRecordDataset(job.path, compression_of(job.path)).batch(_BATCH).prefetch(1):
        if selector is None:
            yield hashes(records).numpy()
        else:
            kept = selector.reasons(records, flattened(records)) == Reason.KEPT
            yield tf.boolean_mask(hashes(records), kept).numpy()


def _hashes_one_by_one(job: Job) -> Iterator[np.ndarray]:
    for record in salvage(job.path):
        if not record.fault and reason_of(job, record.data) == Reason.KEPT:
            yield hashes(tf.constant([record.data])).numpy()


def _smallest_of(parts: Iterable[np.ndarray], count: int) -> np.ndarray:
    found = np.zeros(0, np.int64)
    for part in parts:
        interruption.check()
        found = np.concatenate([found, part])
        if len(found) > 2 * count + _BATCH:
            found = _smallest(found, count)
    return _smallest(found, count)


def _smallest(found: np.ndarray, count: int) -> np.ndarray:
    return found if len(found) <= count else np.partition(found, count - 1)[:count]
