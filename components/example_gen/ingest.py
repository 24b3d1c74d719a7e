"""Reads one data file, and writes one file for each split."""

from hubline.artifacts.pins import PinnedFile
from hubline.components.example_gen.ingest_exact import ingest_exactly
from hubline.components.example_gen.ingest_fast import ingest_fast
from hubline.components.example_gen.ingest_job import IngestResult, Job
from hubline.core import storage
from hubline.core.errors import DataError


def ingest(job: Job, folder: str) -> IngestResult:
    """Reads, validates, splits and writes one file, preserving the order.

    Args:
        job: The file and its options.
        folder: Target folder for an uncompressed TFRecord file per split, and for quarantined records.

    Raises:
        DataError: if the file has changed since it was pinned; or, unless bad records are quarantined, at the first
            unreadable or invalid record, which it names.
    """
    try:
        with storage.on_disk(job.file.path) as path:
            copied = job.model_copy(update={"copied": path})
            ingested = ingest_fast(copied, folder) or ingest_exactly(copied, folder)
    except (FileNotFoundError, DataError):
        refuse_changed(job.file)  # a file that was cut or replaced is no file with a bad record
        raise
    refuse_changed(job.file)
    return ingested


def refuse_changed(file: PinnedFile) -> None:
    """Checks that a file is still the one that was pinned.

    Raises:
        DataError: if its size, modification time or version differs, or if it is gone.
    """
    try:
        stat = storage.stat(file.path)
    except FileNotFoundError as error:
        raise DataError(f"{file.path}: the file has been removed since the run began; run again") from error
    if (stat.size, stat.modified, stat.version) != (file.size, file.modified, file.version):
        raise DataError(f"{file.path}: the file has changed since the run began; run again")
