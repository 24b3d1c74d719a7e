"""One data file in, one shard of each split out."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from components.config import SPLITS, HashSplit
from components.example_gen.contract import Checker, Contract
from components.records import read_batches
from preprocessing.section import Section

# Fixed for ever: with another key every record would land in another split.
_HASH_KEY = [0x48B1_1E5E, 0x7EC0_DE5A]


@dataclass(frozen=True)
class Shard:
    """One file to ingest, and where its records go."""

    path: str
    targets: dict[str, str]
    """The file to write for each split that this file feeds."""
    split: HashSplit | None
    """How its records are split; None where all go to the one target."""
    contract: Contract


class Ingested(Section):
    """What came of one file."""

    path: str
    counts: dict[str, int]
    """How many records each split got."""
    label_type: str | None
    """`string` or `int64`; None where the file has no record."""


def ingest(shard: Shard) -> Ingested:
    """Reads, checks, splits and writes one file, in order.

    Raises:
        DataError: at the first record that cannot be read or breaks the contract; names it.
    """
    checker = Checker(shard.contract, shard.path)
    counts = dict.fromkeys(shard.targets, 0)
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(tf.io.TFRecordWriter(path, "GZIP")) for split, path in shard.targets.items()
        }
        for first, batch in read_batches(shard.path):
            checker.check(first, batch)
            chosen = split_of(batch, shard.split) if shard.split else np.zeros(len(batch), int)
            names = SPLITS if shard.split else tuple(shard.targets)
            for record, index in zip(batch.numpy(), chosen, strict=True):
                writers[names[index]].write(record)
                counts[names[index]] += 1
    return Ingested(path=shard.path, counts=counts, label_type=checker.label_type)


def split_of(records: tf.Tensor | Sequence[bytes], split: HashSplit) -> np.ndarray:
    """The position in `SPLITS` of the split that each record belongs to.

    The records' keyed SipHash (`tf.strings.to_hash_bucket_strong`) is taken modulo the sum of the shares.

    Args:
        records: Serialized records, string of shape [batch].
        split: The shares.

    Returns:
        Integers of shape [batch].
    """
    shares = [getattr(split, name) for name in SPLITS]
    buckets = tf.strings.to_hash_bucket_strong(records, sum(shares), _HASH_KEY)
    return np.searchsorted(np.cumsum(shares), buckets.numpy(), side="right")
