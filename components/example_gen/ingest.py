"""Reads one data file, and writes one file for each split."""

from hubline.artifacts.pins import PinnedFile
from hubline.components.example_gen.ingest_exact import ingest_exactly
from hubline.components.example_gen.ingest_fast import ingest_fast
from hubline.components.example_gen.ingest_job import Ingested, Job
from hubline.core import storage
from hubline.core.errors import DataError


def ingest(job: Job, folder: str) -> Ingested:
    """Reads, validates, splits and writes one file, preserving the order.

    Args:
        job: The file and its options.
        folder: Target folder for an uncompressed TFRecord file per split, and for quarantined records.

    Raises:
        DataError: if the file has changed since it was pinned; or, unless bad records are quarantined, at the first
            unreadable or invalid record, which it names.
    """
    ingested = ingest_fast(job, folder) or ingest_exactly(job, folder)
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
