"""Ingests many small files as one, because opening a file dominates its cost."""

import gzip
import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import tensorflow as tf

from hubline.artifacts.examples import Origin
from hubline.artifacts.pins import PinnedFile
from hubline.components.example_gen.ingest import ingest, refuse_changed
from hubline.components.example_gen.ingest_fast import Survey, survey, write
from hubline.components.example_gen.ingest_graphs import FRAMING
from hubline.components.example_gen.ingest_job import IngestResult, Job
from hubline.core import interruption, storage
from hubline.core.errors import tensorflow_reason
from hubline.core.tfrecords import compression_of, read_batches

_LOGGER = logging.getLogger(__name__)
FEW = 16
"""Up to this number of files, none are grouped."""
_SMALL = 1 << 20
"""Maximum size in bytes of a file in a group."""
_GROUP_BYTES = 1 << 24
_GROUP_FILES = 256
_CUT_AT = 128
"""One in this many paths ends a group, so that an added file doesn't shift all following groups."""
_JOINED_BYTES = 1 << 28
"""Maximum size in bytes of the joined files, uncompressed."""


def grouped(files: Sequence[PinnedFile]) -> list[tuple[PinnedFile, ...]]:
    """Groups consecutive files by their paths and sizes alone.

    A group stays within one span of the data, so a new span doesn't change the groups of earlier ones.
    """
    groups: list[list[PinnedFile]] = []
    for file in files:
        if groups and len(files) > FEW and _goes_with(groups[-1], file):
            groups[-1].append(file)
        else:
            groups.append([file])
    return [tuple(group) for group in groups]


def _goes_with(group: Sequence[PinnedFile], file: PinnedFile) -> bool:
    last = group[-1]
    return (
        max(last.size, file.size) <= _SMALL
        and last.span == file.span
        and len(group) < _GROUP_FILES
        and sum(each.size for each in group) + file.size <= _GROUP_BYTES
        and zlib.crc32(os.fsencode(last.path)) % _CUT_AT != 0
    )


def ingest_group(jobs: Sequence[Job], folder: str, first: int = 0) -> dict[str, IngestResult]:
    """Ingests files that differ in their paths only; as one if all their records are valid.

    Otherwise each half is ingested likewise, down to a single file, which `ingest` handles.

    Args:
        jobs: The files, in order.
        folder: Folder in which each result gets a folder.
        first: Number of the first file.

    Returns:
        The results by folder name, in the order of the files.

    Raises:
        DataError: as `ingest`.
    """
    name = f"{first:05d}"
    storage.make_folder(f"{folder}/{name}")
    if len(jobs) == 1:
        return {name: ingest(jobs[0], f"{folder}/{name}")}
    ingested = _ingest_as_one(jobs, f"{folder}/{name}")
    if ingested:
        return {name: ingested}
    half = len(jobs) // 2
    return ingest_group(jobs[:half], folder, first) | ingest_group(jobs[half:], folder, first + half)


def _ingest_as_one(jobs: Sequence[Job], folder: str) -> IngestResult | None:
    """Ingests the concatenated files; None if anything is wrong with one of them."""
    with tempfile.TemporaryDirectory() as temporary:
        path = f"{temporary}/joined"
        try:
            ends = _join([job.file.path for job in jobs], path)
            joined = jobs[0].model_copy(update={"file": jobs[0].file.model_copy(update={"path": path})})
            seen = survey(joined) if ends else None
            counts = _counts(path, ends, seen) if ends and seen and not seen.unsound else None
            if seen is None or counts is None:
                return None
            ingested = write(joined, seen, folder)
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            interruption.check()
            _LOGGER.info("%s and others: are read one by one: %s", jobs[0].file.path, tensorflow_reason(error))
            return None
    for job in jobs:
        refuse_changed(job.file)
    parts = tuple(
        part.model_copy(update={"origins": _origins(jobs, counts[:, place])})
        for place, part in enumerate(ingested.parts)
    )
    return ingested.model_copy(update={"parts": parts})


def _join(paths: Sequence[str], target: str) -> list[int] | None:
    """Concatenates files, decompressed.

    Returns:
        Offset of the end of each in bytes; None if one cannot be decompressed, or they are too large.
    """
    ends = []
    with Path(target).open("wb") as out:
        for path in paths:
            interruption.check()
            try:
                _append(path, out)
            except (OSError, EOFError, zlib.error):
                return None
            ends.append(out.tell())
            if ends[-1] > _JOINED_BYTES:
                return None
    return ends


def _append(path: str, out: IO[bytes]) -> None:
    compression = compression_of(path)
    with storage.open_binary(path) as file:
        if compression:
            with gzip.open(file) as content:
                shutil.copyfileobj(content, out)
        else:
            shutil.copyfileobj(file, out)


def _counts(path: str, ends: Sequence[int], seen: Survey) -> np.ndarray | None:
    """Number of records of each file by target, int64 [files, targets].

    None if a file ends within a record, which the start of the next file could complete by accident.
    """
    lengths = np.concatenate([tf.strings.length(batch).numpy() for _, batch in read_batches(path)])
    record_ends = np.cumsum(lengths.astype(np.int64) + FRAMING)
    if not np.isin(ends, [0, *record_ends]).all():
        return None
    records = np.diff(np.searchsorted(record_ends, ends, side="right"), prepend=0)
    counts = np.zeros((len(ends), len(seen.counts)), np.int64)
    np.add.at(counts, (np.repeat(np.arange(len(ends)), records), seen.places.numpy()), 1)
    return counts


def _origins(jobs: Sequence[Job], counts: np.ndarray) -> tuple[Origin, ...]:
    return tuple(Origin(file=job.file.path, count=int(count)) for job, count in zip(jobs, counts, strict=True))
