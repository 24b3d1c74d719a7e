"""The list of quarantined records and their reasons."""

from collections.abc import Iterable, Iterator
from itertools import islice

from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.errors import DataError

FILE = "quarantine.jsonl"
"""The list in an artifact's folder: one JSON object per line."""


class QuarantinedRecord(Section):
    """A quarantined record."""

    file: str
    """The data file that contained it."""
    record: int
    """Index of the record in the file, from 0. A section without a readable record counts as one record."""
    reason: str
    """What is wrong with the record, or with the bytes in its place."""

    def __str__(self) -> str:
        """One line with file, record and reason."""
        return f"{self.file}: record {self.record} (counted from 0): {self.reason}"


def write_quarantine(path: str, entries: Iterable[QuarantinedRecord]) -> None:
    storage.write_bytes(path, "".join(f"{entry.to_property()}\n" for entry in entries).encode())


def read_quarantine(path: str) -> Iterator[QuarantinedRecord]:
    """Entries of a list, one at a time; none if there is no such file."""
    if storage.exists(path):
        with storage.open_binary(path) as file:
            for line in file:
                yield QuarantinedRecord.model_validate_json(line)


def all_quarantined(examples: str, rows: str | None) -> Iterator[QuarantinedRecord]:
    """The records that all steps of a run quarantined.

    Args:
        examples: Artifact of ExampleGen.
        rows: Artifact of Embedder, if there is one.
    """
    for artifact in filter(None, (examples, rows)):
        yield from read_quarantine(f"{artifact}/{FILE}")


def refuse_too_many(
    bad: int, total: int, max_fraction: float, entries: Iterable[QuarantinedRecord], shown: int = 3
) -> None:
    """Stops the run if too many records are quarantined.

    Args:
        bad: Records quarantined so far, in all steps.
        total: All records.
        max_fraction: Limit from `data.bad_records`.
        entries: Some quarantined records, for the message.
        shown: Number of entries in the message.

    Raises:
        DataError: if the limit is exceeded.
    """
    if bad > max_fraction * total:
        listed = "\n".join(f"  {entry}" for entry in islice(entries, shown))
        raise DataError(
            f"{bad} of {total} records are bad, {bad / total:.2%}, but data.bad_records.max_fraction allows "
            f"{max_fraction:.2%}; fix the data or raise max_fraction. The first:\n{listed}"
        )
