"""Ingests a file in Python, record by record, around damaged and bad records."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import islice

import tensorflow as tf

from hubline.artifacts.examples import LeftOut, Origin, SplitPart
from hubline.artifacts.quarantine import FILE, QuarantinedRecord, write_quarantine
from hubline.components.example_gen.contract import ColumnTypes
from hubline.components.example_gen.ingest_job import QUARANTINE, IngestResult, Job, broken, damaged, split_of
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.components.example_gen.selector import Reason, reason_of, selector_of
from hubline.components.example_gen.split_keys import key_of_record
from hubline.components.example_gen.strata import places_of
from hubline.core import interruption
from hubline.core.digest import file_digest
from hubline.core.errors import DataError
from hubline.core.tfrecord_recovery import RecoveredRecord, salvage
from hubline.preprocessing.examples import flattened

_SIEVED = 32
"""Records per batch."""


def ingest_exactly(job: Job, folder: str) -> IngestResult:
    """Ingests a file in Python, record by record, skipping whatever is damaged or invalid."""
    with ExitStack() as stack:
        outputs = {name: stack.enter_context(_Output(f"{folder}/{name}")) for name in (*job.splits, QUARANTINE)}
        sieve = _RecordFilter(job, outputs)
        write_quarantine(f"{folder}/{FILE}", sieve.bad_ones())
    parts = (
        SplitPart(
            split=name,
            origins=(Origin(file=job.file.path, count=out.count),),
            largest=out.largest,
            digest=file_digest(f"{folder}/{name}"),
            left_out=LeftOut(**sieve.left_out[name]),
        )
        for name, out in outputs.items()
        if name != QUARANTINE
    )
    _, unseen = selector_of(job)
    quarantined_records = outputs[QUARANTINE].count
    return IngestResult(parts=tuple(parts), kind=sieve.kind, quarantined_records=quarantined_records, unseen=unseen)


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


class _RecordFilter:
    """Separates a file's valid records from its bad ones."""

    def __init__(self, job: Job, outputs: Mapping[str, _Output]) -> None:
        self._job = job
        self._outputs = outputs
        self.kind: ColumnTypes | None = None
        self.left_out: dict[str, Counter[str]] = {split: Counter() for split in job.splits}
        """Numbers of records that are left out, by split and reason."""

    def bad_ones(self) -> Iterator[QuarantinedRecord]:
        """Yields the bad records; before each, writes the valid records that precede it."""
        records = enumerate(salvage(self._job.path))
        while batch := list(islice(records, _SIEVED)):
            interruption.check()
            sound = []
            for number, record in batch:
                if self._is_left_out(record):
                    continue
                reason = self._fault(number, record)
                if reason:
                    self._outputs[QUARANTINE].write(record.data)
                    yield QuarantinedRecord(file=self._job.file.path, record=number, reason=reason)
                else:
                    sound.append(record.data)
            if not self._parses(sound):
                numbers = f"{batch[0][0]} to {batch[-1][0]}"
                raise DataError(f"{self._job.file.path}: records {numbers}: these cannot be parsed as tf.Examples")
            self._write(sound)

    def _is_left_out(self, record: RecoveredRecord) -> bool:
        """Counts a record that is left out. A record that can't be read is not: nothing is known of it."""
        why = Reason.KEPT if record.fault else reason_of(self._job, record.data)
        if why != Reason.KEPT:
            (place,) = self._places([record.data])
            self.left_out[self._job.splits[place]][why.name.lower()] += 1
        return why != Reason.KEPT

    def _places(self, records: list[bytes]) -> list[int]:
        """Index of each record's split."""
        split = self._job.split
        if not split:
            return [0] * len(records)
        if not split.column or not records:
            return split_of(records, split).numpy().tolist()
        keys = [key_of_record(record, split.column) for record in records]
        if split.group:
            return split_of(keys, split).numpy().tolist()
        places = places_of(tf.constant(records), tf.constant(keys), self._job.strata, split_of(records, split))
        return places.numpy().tolist()

    def _fault(self, number: int, record: RecoveredRecord) -> str | None:
        job = self._job
        fault = record.fault or find_fault(record.data, job.contract, self.kind)
        if fault and job.policy == "fail":
            raise damaged(job, number, fault) if record.fault else broken(job, number, fault)
        if not fault:
            self.kind = kind_of(record.data, job.contract, self.kind)
        return f"it cannot be read: {fault}" if record.fault else fault

    def _write(self, records: list[bytes]) -> None:
        job = self._job
        if not records:
            return
        for example, place in zip(flattened(tf.constant(records)).numpy(), self._places(records), strict=True):
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
