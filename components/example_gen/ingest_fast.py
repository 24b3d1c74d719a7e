"""Ingests a file in TensorFlow's C++."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import tensorflow as tf

from hubline.artifacts.examples import LeftOut, Origin, SplitPart
from hubline.artifacts.quarantine import FILE, QuarantinedRecord, write_quarantine
from hubline.components.example_gen.contract import ColumnTypes, Contract
from hubline.components.example_gen.ingest_graphs import Graphs, graphs_of
from hubline.components.example_gen.ingest_job import QUARANTINE, UNPARSED, IngestResult, Job, broken
from hubline.components.example_gen.record_checks import find_fault, kind_of
from hubline.components.example_gen.records import columns_of, value_type, values_of
from hubline.components.example_gen.selector import LEFT_OUT, Reason, Selector, selector_of
from hubline.core import interruption, storage
from hubline.core.digest import file_digest
from hubline.core.errors import DataError, tensorflow_reason
from hubline.core.tfrecord_recovery import inflated_size, salvage
from hubline.core.tfrecords import compression_of
from hubline.preprocessing.examples import are_sequences, flattened

_LOGGER = logging.getLogger(__name__)
# Limits of a batch: number of records, and bytes.
BATCH = 4096
_BATCH_BYTES = 1 << 23
_SELECTED_AT_ONCE = 64
"""Records per batch when the first record that is not left out is looked for."""


def ingest_fast(job: Job, folder: str) -> IngestResult | None:
    """Ingests a file in TensorFlow's C++; None if TensorFlow doesn't reach its end.

    Raises:
        DataError: as `ingest`.
        Interrupted: between two batches, once the process is asked to end.
    """
    try:
        seen = survey(job)
        return write(job, seen, folder) if seen else None
    except (tf.errors.OpError, UnicodeDecodeError) as error:  # TensorFlow can't decode a message that quotes a record
        interruption.check()
        _LOGGER.info("%s: is read record by record: %s", job.file.path, tensorflow_reason(error))
        return None


@dataclass(frozen=True)
class Survey:
    """A file's records, validated and assigned to splits."""

    graphs: Graphs
    kind: ColumnTypes
    compression: Literal["", "GZIP"]
    places: tf.Tensor
    """Target of each record, uint8 [records]: the index of a split, or one past the last for an invalid record. The
    targets after that are of records that are left out, by `Reason` and split."""
    counts: Sequence[int]
    """Number of records by target."""
    largest: Sequence[int]
    """Size in bytes, as written, of the largest record, by target."""
    flattens: bool
    """Whether the file contains SequenceExamples, which are written as Examples."""
    splits: int
    """Number of splits."""
    unseen: tuple[str, ...]
    """Columns that `data.where` names and no record has."""

    @property
    def unsound(self) -> list[int]:
        """Numbers of the invalid records, ascending."""
        return tf.where(self.places == self.splits)[:, 0].numpy().tolist()

    def left_out(self, place: int) -> LeftOut:
        """The records of a split that are left out."""
        if len(self.counts) == self.splits + 1:
            return LeftOut()
        return LeftOut(**{why.name.lower(): self.counts[1 + why * self.splits + place] for why in LEFT_OUT})

    @property
    def kept(self) -> int:
        """Number of records in all splits."""
        return sum(self.counts[: self.splits])


def survey(job: Job, flatten: bool = False) -> Survey | None:
    """Validates and counts the records of a file; None if the first is invalid, or TensorFlow cannot read all of them.

    SequenceExamples are noticed along the way. Most files have none, and are validated without the extra work.
    """
    path, compression = job.path, compression_of(job.path)
    selector, unseen = selector_of(job)
    types = _types_of_first(job, selector)
    if types is None:
        return None
    kind, sample = types
    flatten = flatten or bool(are_sequences(tf.constant([sample]))[0])
    graphs = graphs_of(job.contract, kind, job.split, flatten, selector, job.strata)
    places, counts, largest, size, sequences = graphs.survey(path, compression, _batch_size(len(sample)))
    if sequences and not flatten:
        return survey(job, flatten=True)
    if not _is_all(path, compression, int(size)):
        return None
    by_place = counts.numpy().tolist(), largest.numpy().tolist()
    return Survey(graphs, kind, compression, places, *by_place, flattens=flatten, splits=len(job.splits), unseen=unseen)


def _types_of_first(job: Job, selector: Selector | None) -> tuple[ColumnTypes, bytes] | None:
    """The dtypes of a file's records, and the first record that determines them; None if a record up to it is
    invalid."""
    kind, last = None, b""
    for record in _selected(job.path, selector) if selector else _readable(job.path):
        if record is None or find_fault(record, job.contract, kind):
            return None
        kind, last = kind_of(record, job.contract, kind), record
        if kind.label:
            break
    if kind is None and selector and (first := next(_readable(job.path), None)) is not None:
        return ColumnTypes(numbers=_types_of(first, job.contract)), first  # all are left out, so any types do
    return (kind, last) if kind else None


def _types_of(record: bytes, contract: Contract) -> tuple[Any, ...]:
    """The dtypes of the columns that a record has, which may break the contract; int64 for the others."""
    try:
        columns = columns_of(record)
    except DataError:
        columns = {}
    return tuple(value_type(columns[name]) if values_of(columns, name) else "int64" for name in contract.typed)


def _readable(path: str) -> Iterator[bytes | None]:
    """The records in order; None in place of a damaged one."""
    return (None if record.fault else record.data for record in salvage(path))


def _selected(path: str, selector: Selector) -> Iterator[bytes]:
    """The records that are not left out, in order."""
    for records in tf.data.TFRecordDataset(path, compression_of(path)).batch(_SELECTED_AT_ONCE):
        kept = selector.reasons(records, flattened(records)) == Reason.KEPT
        yield from tf.boolean_mask(records, kept).numpy()


def write(job: Job, seen: Survey, folder: str) -> IngestResult:
    """Writes the records to their targets; copies the file if all of them share one."""
    path, unsound = job.path, seen.unsound
    if unsound and job.policy == "fail":
        record = next(iter(tf.data.TFRecordDataset(path, seen.compression).skip(unsound[0])))
        raise broken(job, unsound[0], find_fault(record.numpy(), job.contract, seen.kind) or UNPARSED)
    if not unsound and not seen.flattens and job.split is None and seen.kept == len(seen.places):
        storage.copy(path, f"{folder}/{job.group}")
        digest = file_digest(f"{folder}/{job.group}")
        part = SplitPart(
            split=job.group,
            origins=(Origin(file=job.file.path, count=seen.counts[0]),),
            largest=seen.largest[0],
            digest=digest,
        )
        return IngestResult(parts=(part,), compression=seen.compression, kind=seen.kind, unseen=seen.unseen)

    source = path, seen.compression, _batch_size(max(seen.largest)), seen.places
    files = [f"{folder}/{split}" for split in job.splits]
    seen.graphs.write(*source, files)
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(file_digest, files))
    if unsound:
        seen.graphs.write_unsound(*source, [f"{folder}/{QUARANTINE}"])
        records = tf.data.TFRecordDataset(f"{folder}/{QUARANTINE}").as_numpy_iterator()
        reasons = (find_fault(record, job.contract, seen.kind) or UNPARSED for record in records)
        entries = (
            QuarantinedRecord(file=job.file.path, record=n, reason=reason)
            for n, reason in zip(unsound, reasons, strict=True)
        )
        write_quarantine(f"{folder}/{FILE}", entries)
    parts = (
        SplitPart(
            split=split,
            origins=(Origin(file=job.file.path, count=seen.counts[place]),),
            largest=seen.largest[place],
            digest=digests[place],
            left_out=seen.left_out(place),
        )
        for place, split in enumerate(job.splits)
    )
    kind = seen.kind if seen.kept else None
    return IngestResult(parts=tuple(parts), kind=kind, quarantined_records=len(unsound), unseen=seen.unseen)


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
