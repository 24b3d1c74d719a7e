"""The list of records that were set aside, with their reasons."""

from collections.abc import Iterable, Iterator
from itertools import islice

from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.errors import DataError

FILE = "quarantine.jsonl"
"""The list in an artifact's folder: a JSON object a line."""


class SetAside(Section):
    """One record that was set aside."""

    file: str
    """The data file that it came in."""
    record: int
    """Its number in that file, counted from 0. A stretch that holds no readable record counts as one."""
    reason: str
    """What is wrong with it, or with the bytes where it should be."""

    def __str__(self) -> str:
        """One line that names file, record and reason."""
        return f"{self.file}: record {self.record} (counted from 0): {self.reason}"


def write_set_aside(path: str, entries: Iterable[SetAside]) -> None:
    """Writes a list of records that were set aside."""
    storage.write_bytes(path, "".join(f"{entry.to_property()}\n" for entry in entries).encode())


def read_set_aside(path: str) -> Iterator[SetAside]:
    """The entries of a list, one at a time; none where there is no such file."""
    if storage.exists(path):
        with storage.open_binary(path) as file:
            for line in file:
                yield SetAside.model_validate_json(line)


def all_set_aside(examples: str, rows: str | None) -> Iterator[SetAside]:
    """The records that all steps of a run set aside.

    Args:
        examples: The artifact of ExampleGen.
        rows: That of Embedder, if there is one.
    """
    for artifact in filter(None, (examples, rows)):
        yield from read_set_aside(f"{artifact}/{FILE}")


def refuse_too_many(bad: int, total: int, max_fraction: float, entries: Iterable[SetAside], shown: int = 3) -> None:
    """Stops a run that has set too much aside.

    Args:
        bad: Records set aside so far, in all steps.
        total: All records.
        max_fraction: The greatest share that `data.bad_records` allows.
        entries: Of those set aside, some to show.
        shown: How many of them.

    Raises:
        DataError: where it is too much.
    """
    if bad > max_fraction * total:
        listed = "\n".join(f"  {entry}" for entry in islice(entries, shown))
        raise DataError(
            f"{bad} of {total} records are bad, {bad / total:.2%}, and data.bad_records.max_fraction allows "
            f"{max_fraction:.2%}; mend the data or raise it. The first:\n{listed}"
        )
