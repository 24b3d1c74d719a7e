"""Reads one data file, and writes one file for each split."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from typing import Literal

import numpy as np
import tensorflow as tf

from hubline.artifacts.examples import Origin
from hubline.artifacts.pins import PinnedFile
from hubline.artifacts.quarantine import FILE, SetAside, write_set_aside
from hubline.artifacts.splits import SPLITS
from hubline.components.config.data import HashSplit
from hubline.components.example_gen.contract import Contract, Kind, are_sound, find_fault, kind_of
from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.digest import file_digest
from hubline.core.errors import DataError, tensorflow_reason
from hubline.core.tfrecord_recovery import Salvaged, inflated_size, salvage
from hubline.core.tfrecords import compression_of
from hubline.preprocessing.examples import are_sequences, flattened

QUARANTINE = "quarantine"
"""File of quarantined records. The list next to it has one line per record, in the same order."""

_LOGGER = logging.getLogger(__name__)
# Fixed for ever: with another key every record would land in another split.
_HASH_KEY = [0x48B1_1E5E, 0x7EC0_DE5A]
# Limits of a batch: number of records, and bytes.
BATCH = 4096
_BATCH_BYTES = 1 << 23
_READ_BYTES = 1 << 20
# Records per batch if a file is read in Python.
_SIEVED = 32
_UNPARSED = "it cannot be parsed as a tf.Example"
# A record's length and its checksum, and the checksum of its data.
FRAMING = 16
"""Overhead of a TFRecord in bytes: its length and two checksums."""


class Job(Section):
    """A data file to ingest, with everything that the result depends on."""

    file: PinnedFile
    group: str
    """The file's split, if files rather than records are split."""
    split: HashSplit | None
    """How to split the records; None if all belong to the split `group`."""
    contract: Contract
    policy: Literal["fail", "quarantine"]
    """Whether bad records stop the run or are quarantined."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that the file's records may belong to."""
        return SPLITS if self.split else (self.group,)


class Part(Section):
    """A file's records in one split."""

    split: str
    origins: tuple[Origin, ...]
    """The data files in order, each with its number of records in the split."""
    largest: int
    """Size of the largest record in bytes; 0 if there is none."""
    digest: str
    """SHA-256 of the file with the records."""

    @property
    def count(self) -> int:
        """Number of records."""
        return sum(origin.count for origin in self.origins)


class Ingested(Section):
    """The result for one file, or for several small files taken together."""

    parts: tuple[Part, ...]
    """One per split, in a file named after it."""
    compression: Literal["", "GZIP"] = ""
    """Compression of the parts; not empty only if the data file was copied as a whole."""
    kind: Kind | None = None
    """Dtypes of the records; None without valid records."""
    set_aside: int = 0
    """Number of quarantined records."""


def ingest(job: Job, folder: str) -> Ingested:
    """Reads, validates, splits and writes one file, preserving the order.

    Args:
        job: The file and its options.
        folder: Target folder for an uncompressed TFRecord file per split, and for quarantined records.

    Raises:
        DataError: if the file has changed since it was pinned; or, unless bad records are quarantined, at the first
            unreadable or invalid record, which it names.
    """
    ingested = _swiftly(job, folder) or ingest_exactly(job, folder)
    refuse_changed(job.file)
    return ingested


def refuse_changed(file: PinnedFile) -> None:
    """Checks that a file is still the one that was pinned.

    Raises:
        DataError: if its size or modification time differs.
    """
    stat = storage.stat(file.path)
    if (stat.size, stat.modified) != (file.size, file.modified):
        raise DataError(f"{file.path}: the file has changed since the run began; run again")


def split_of(records: tf.Tensor | Sequence[bytes], split: HashSplit) -> tf.Tensor:
    """Index in `SPLITS` of each record's split.

    The keyed SipHash of the record (`tf.strings.to_hash_bucket_strong`) modulo the sum of the shares decides.

    Args:
        records: Serialized records, string [batch].
        split: The shares.

    Returns:
        int64 [batch].
    """
    shares = tf.constant([getattr(split, name) for name in SPLITS], tf.int64)
    buckets = tf.strings.to_hash_bucket_strong(records, split.train + split.validation + split.test, _HASH_KEY)
    return tf.searchsorted(tf.cumsum(shares), buckets, side="right", out_type=tf.int64)


def _swiftly(job: Job, folder: str) -> Ingested | None:
    """Ingests a file in TensorFlow's C++; None if TensorFlow doesn't reach its end."""
    try:
        seen = survey(job)
        return write(job, seen, folder) if seen else None
    except (
        tf.errors.OpError,
        UnicodeDecodeError,
    ) as error:  # UnicodeDecodeError if TensorFlow's message quotes a record
        _LOGGER.info("%s: is read record by record: %s", job.file.path, tensorflow_reason(error))
        return None


@dataclass(frozen=True)
class Survey:
    """A file's records, validated and assigned to splits."""

    graphs: "_Graphs"
    kind: Kind
    compression: Literal["", "GZIP"]
    places: tf.Tensor
    """Target of each record, uint8 [records]: the index of a split, or one past the last for an invalid record."""
    counts: Sequence[int]
    """Number of records by target."""
    largest: Sequence[int]
    """Size in bytes, as written, of the largest record, by target."""
    flattens: bool
    """Whether the file contains SequenceExamples, which are written as Examples."""

    @property
    def unsound(self) -> list[int]:
        """Numbers of the invalid records, ascending."""
        return tf.where(self.places == len(self.counts) - 1)[:, 0].numpy().tolist()


def survey(job: Job, flatten: bool = False) -> Survey | None:
    """Validates and counts the records of a file; None if the first is invalid, or TensorFlow cannot read all of them.

    SequenceExamples are noticed along the way. Most files have none, and are validated without the extra work.
    """
    path, compression = job.file.path, compression_of(job.file.path)
    told = _told_by_first(path, job.contract)
    if told is None:
        return None
    kind, teller = told
    flatten = flatten or bool(are_sequences(tf.constant([teller]))[0])
    graphs = _graphs(job.contract, kind, job.split, flatten)
    places, counts, largest, size, sequences = graphs.survey(path, compression, _batch_size(len(teller)))
    if sequences and not flatten:
        return survey(job, flatten=True)
    if not _is_all(path, compression, int(size)):
        return None
    by_place = counts.numpy().tolist(), largest.numpy().tolist()
    return Survey(graphs, kind, compression, places, *by_place, flattens=flatten)


def _told_by_first(path: str, contract: Contract) -> tuple[Kind, bytes] | None:
    """The dtypes of a file's records, and the first record that determines them; None if a record up to it is
    invalid."""
    kind, last = None, b""
    for record in salvage(path):
        if record.fault or find_fault(record.data, contract, kind):
            return None
        kind, last = kind_of(record.data, contract, kind), record.data
        if kind.label:
            break
    return (kind, last) if kind else None


def write(job: Job, seen: Survey, folder: str) -> Ingested:
    """Writes the records to their targets; copies the file if all of them share one."""
    path, unsound = job.file.path, seen.unsound
    if unsound and job.policy == "fail":
        record = next(iter(tf.data.TFRecordDataset(path, seen.compression).skip(unsound[0])))
        raise _broken(job, unsound[0], find_fault(record.numpy(), job.contract, seen.kind) or _UNPARSED)
    if not unsound and not seen.flattens and job.split is None:
        storage.copy(path, f"{folder}/{job.group}")
        digest = file_digest(f"{folder}/{job.group}")
        part = Part(
            split=job.group, origins=(Origin(file=path, count=seen.counts[0]),), largest=seen.largest[0], digest=digest
        )
        return Ingested(parts=(part,), compression=seen.compression, kind=seen.kind)

    source = path, seen.compression, _batch_size(max(seen.largest)), seen.places
    files = [f"{folder}/{split}" for split in job.splits]
    seen.graphs.write(*source, files)
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(file_digest, files))
    if unsound:
        seen.graphs.write_unsound(*source, [f"{folder}/{QUARANTINE}"])
        records = tf.data.TFRecordDataset(f"{folder}/{QUARANTINE}").as_numpy_iterator()
        reasons = (find_fault(record, job.contract, seen.kind) or _UNPARSED for record in records)
        entries = (SetAside(file=path, record=n, reason=reason) for n, reason in zip(unsound, reasons, strict=True))
        write_set_aside(f"{folder}/{FILE}", entries)
    parts = (
        Part(
            split=split,
            origins=(Origin(file=path, count=seen.counts[place]),),
            largest=seen.largest[place],
            digest=digests[place],
        )
        for place, split in enumerate(job.splits)
    )
    return Ingested(parts=tuple(parts), kind=seen.kind, set_aside=len(unsound))


class _Graphs:
    """Validates and writes records; traced once for all files of the same kind. `Survey` explains targets."""

    def __init__(self, contract: Contract, kind: Kind, split: HashSplit | None, flatten: bool) -> None:
        self._contract = contract
        self._kind = kind
        self._split = split
        self._as_examples = flattened if flatten else lambda records: records
        self._places = len(SPLITS) if split else 1
        string, size = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)
        self._look = tf.function(self._look_at, [tf.TensorSpec([None], tf.string)], autograph=False)
        written = [string, string, size, tf.TensorSpec([None], tf.uint8), tf.TensorSpec([None], tf.string)]
        self.write = tf.function(partial(self._write, range(self._places)), written, autograph=False)
        self.write_unsound = tf.function(partial(self._write, [self._places]), written, autograph=False)

    def survey(self, path: str, compression: str, size: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, int, bool]:
        """Validates a file.

        Returns:
            The target of each record; counts and largest records by target; uncompressed size in bytes; and whether
            there are SequenceExamples.
        """
        places, largest, total, sequences = [], np.zeros(self._places + 1, np.int64), 0, False
        # A dataset reduction would copy the accumulated targets with every batch.
        for records in _batches(path, compression, size).prefetch(1):
            looked = self._look(records)
            places.append(looked[0].numpy())
            largest = np.maximum(largest, looked[1].numpy())
            total += int(looked[2])
            sequences = sequences or bool(looked[3])
        all_places = np.concatenate(places) if places else np.zeros(0, np.uint8)
        counts = np.bincount(all_places, minlength=self._places + 1)
        return tf.constant(all_places), tf.constant(counts), tf.constant(largest), total, sequences

    def _look_at(self, records: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The target of each record of a batch, the largest records by target, the bytes, and whether there are
        SequenceExamples."""
        examples = self._as_examples(records)
        sound = are_sound(examples, self._contract, self._kind)
        places = tf.where(sound, self._splits(records), self._places)
        read = _lengths(records)
        written = tf.where(sound, _lengths(examples), read)
        return (
            tf.cast(places, tf.uint8),
            tf.math.unsorted_segment_max(written, places, self._places + 1),
            tf.reduce_sum(read + FRAMING),
            tf.reduce_any(are_sequences(records)),
        )

    def _write(
        self,
        places: Sequence[int],
        path: tf.Tensor,
        compression: tf.Tensor,
        size: tf.Tensor,
        places_of: tf.Tensor,
        targets: tf.Tensor,
    ) -> None:
        """Writes the records of each target to its own file; those of splits as tf.Examples."""

        def of_place(place: int, batch: tf.Tensor, records: tf.Tensor) -> tf.Tensor:
            chosen = tf.boolean_mask(records, places_of[batch * size : (batch + 1) * size] == place)
            return self._as_examples(chosen) if place < self._places else chosen

        for number, place in enumerate(places):
            records = _batches(path, compression, size).enumerate().map(partial(of_place, place)).unbatch()
            variant = tf.data.experimental.to_variant(records)
            tf.raw_ops.DatasetToTFRecord(input_dataset=variant, filename=targets[number], compression_type="")

    def _splits(self, records: tf.Tensor) -> tf.Tensor:
        return split_of(records, self._split) if self._split else tf.zeros_like(records, tf.int64)


@cache
def _graphs(contract: Contract, kind: Kind, split: HashSplit | None, flatten: bool) -> _Graphs:
    return _Graphs(contract, kind, split, flatten)


def _batches(path: tf.Tensor, compression: tf.Tensor, size: tf.Tensor) -> tf.data.Dataset:
    options = tf.data.Options()
    # Autotuning and graph optimizations gain nothing here, and cost time for each file and each record.
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return tf.data.TFRecordDataset(path, compression, buffer_size=_READ_BYTES).batch(size).with_options(options)


def _lengths(records: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.strings.length(records), tf.int64)


def _batch_size(record_bytes: int) -> int:
    """Number of records of a given size in a batch."""
    return max(1, min(BATCH, _BATCH_BYTES // max(1, record_bytes)))


def _is_all(path: str, compression: str, size: int) -> bool:
    """Whether the records that TensorFlow read, `size` bytes with framing, are the whole file.

    Its reader takes some truncated files for complete shorter ones.
    """
    if not compression:
        return storage.stat(path).size == size
    with storage.open_binary(path) as file:
        file.seek(max(0, storage.stat(path).size - 4))
        if int.from_bytes(file.read(4), "little") == size % 2**32:
            return True
    return inflated_size(path) == size  # the trailer has the size of the last gzip member only


def ingest_exactly(job: Job, folder: str) -> Ingested:
    """Ingests a file in Python, record by record, skipping whatever is damaged or invalid."""
    with ExitStack() as stack:
        outputs = {name: stack.enter_context(_Output(f"{folder}/{name}")) for name in (*job.splits, QUARANTINE)}
        sieve = _Sieve(job, outputs)
        write_set_aside(f"{folder}/{FILE}", sieve.bad_ones())
    parts = (
        Part(
            split=name,
            origins=(Origin(file=job.file.path, count=out.count),),
            largest=out.largest,
            digest=file_digest(f"{folder}/{name}"),
        )
        for name, out in outputs.items()
        if name != QUARANTINE
    )
    return Ingested(parts=tuple(parts), kind=sieve.kind, set_aside=outputs[QUARANTINE].count)


class _Output:
    """An uncompressed TFRecord file being written."""

    def __init__(self, path: str) -> None:
        self._writer = tf.io.TFRecordWriter(path)
        self.count = 0
        self.largest = 0

    def __enter__(self) -> "_Output":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, record: bytes) -> None:
        self._writer.write(record)
        self.count += 1
        self.largest = max(self.largest, len(record))


class _Sieve:
    """Separates a file's valid records from its bad ones."""

    def __init__(self, job: Job, outputs: Mapping[str, _Output]) -> None:
        self._job = job
        self._outputs = outputs
        self.kind: Kind | None = None

    def bad_ones(self) -> Iterator[SetAside]:
        """Yields the bad records; before each, writes the valid records that precede it."""
        records = enumerate(salvage(self._job.file.path))
        while batch := list(islice(records, _SIEVED)):
            sound = []
            for number, record in batch:
                reason = self._fault(number, record)
                if reason:
                    self._outputs[QUARANTINE].write(record.data)
                    yield SetAside(file=self._job.file.path, record=number, reason=reason)
                else:
                    sound.append(record.data)
            if not self._parses(sound):
                numbers = f"{batch[0][0]} to {batch[-1][0]}"
                raise DataError(f"{self._job.file.path}: records {numbers}: these cannot be parsed as tf.Examples")
            self._write(sound)

    def _fault(self, number: int, record: Salvaged) -> str | None:
        job = self._job
        fault = record.fault or find_fault(record.data, job.contract, self.kind)
        if fault and job.policy == "fail":
            raise _damaged(job, number, fault) if record.fault else _broken(job, number, fault)
        if not fault:
            self.kind = kind_of(record.data, job.contract, self.kind)
        return f"it cannot be read: {fault}" if record.fault else fault

    def _write(self, records: list[bytes]) -> None:
        job = self._job
        if not records:
            return
        places = split_of(records, job.split).numpy() if job.split else [0] * len(records)
        for example, place in zip(flattened(tf.constant(records)).numpy(), places, strict=True):
            self._outputs[job.splits[place]].write(example)

    def _parses(self, records: list[bytes]) -> bool:
        """Whether TensorFlow, which later steps read the records with, agrees that they are valid."""
        if not self.kind or not records:
            return True
        try:
            examples = flattened(tf.constant(records))
            return bool(tf.reduce_all(are_sound(examples, self._job.contract, self.kind)))
        except (tf.errors.OpError, UnicodeDecodeError):
            return False


def _broken(job: Job, number: int, fault: str) -> DataError:
    return DataError(f"{job.file.path}: record {number} (counted from 0): {fault}")


def _damaged(job: Job, number: int, fault: str) -> DataError:
    return DataError(
        f"{job.file.path}: record {number} (counted from 0) cannot be read: the file is truncated or corrupt, or is no "
        f"TFRecord file ({fault})"
    )
