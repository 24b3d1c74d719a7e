"""The list of records that were set aside, with their reasons."""

from collections.abc import Iterable, Iterator

from tfx.dsl.io import fileio

from preprocessing.section import Section

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


def write_set_aside(path: str, entries: Iterable[SetAside]) -> None:
    """Writes a list of records that were set aside."""
    with fileio.open(path, "w") as file:
        for entry in entries:
            file.write(entry.to_property() + "\n")


def read_set_aside(path: str) -> Iterator[SetAside]:
    """The entries of a list, one at a time; none where there is no such file."""
    if fileio.exists(path):
        with fileio.open(path, "r") as file:
            for line in file:
                yield SetAside.model_validate_json(line)
