"""Facts about the columns of each data file that statistics lack: types, and non-finite values."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter

from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.errors import DataError

_NON_FINITE = "non_finite.json"


class ColumnFacts(Section):
    """Facts about a column in one data file of a split."""

    kinds: dict[str, int]
    """Number of records with the column, by type: `int64`, `float` or `bytes`."""
    nan: int = 0
    """Number of NaN values."""
    infinite: int = 0
    """Number of infinite values."""


class FileFacts(Section):
    """Facts about the columns of one data file in a split, by name."""

    columns: dict[str, ColumnFacts] = {}


def are_mixed(files: Iterable[FileFacts]) -> bool:
    """Whether any column has values of several types."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for file in files:
        for name, column in file.columns.items():
            kinds[name].update(column.kinds)
    return any(len(found) > 1 for found in kinds.values())


@dataclass(frozen=True)
class SourceFacts:
    """The facts about one data file's records in a split."""

    split: str
    source: str
    """The data file that the records came from."""
    facts: FileFacts


class NonFinite(Section):
    """Non-finite values of a column in one data file of a split."""

    split: str
    column: str
    file: str
    """The data file that the values came from."""
    nan: int
    infinite: int


def refuse_mixed_types(files: Iterable[SourceFacts]) -> None:
    """Checks that each column has a single type.

    Raises:
        DataError: lists the columns with several types, with a file for each type.
    """
    kinds: dict[str, dict[str, Counter[tuple[str, str]]]] = defaultdict(lambda: defaultdict(Counter))
    for file in files:
        for column, facts in file.facts.columns.items():
            for kind, count in facts.kinds.items():
                kinds[column][kind][file.source, file.split] += count
    mixed = [
        f"  column '{column}': " + ", ".join(f"{kind} in {_places(places)}" for kind, places in sorted(found.items()))
        for column, found in sorted(kinds.items())
        if len(found) > 1
    ]
    if mixed:
        raise DataError("a column must have the same type in all files; these have several:\n" + "\n".join(mixed))


def _places(counts: Counter[tuple[str, str]]) -> str:
    """For example `90 records (train: data/a.tfrecord and 3 more files)`."""
    (first, split), *_ = sorted(counts)
    others = len({source for source, _ in counts}) - 1
    more = f" and {others} more file{'s' if others > 1 else ''}" if others else ""
    return f"{counts.total():,} record{'s' if counts.total() > 1 else ''} ({split}: {first}{more})"


def write_non_finite(uri: str, files: Iterable[SourceFacts]) -> None:
    """Writes the non-finite values of each file into a statistics artifact."""
    storage.write_bytes(f"{uri}/{_NON_FINITE}", TypeAdapter(list[NonFinite]).dump_json(list(_non_finite(files))))


def read_non_finite(uri: str) -> list[NonFinite]:
    """Reads the non-finite values from a statistics artifact."""
    with storage.open_binary(f"{uri}/{_NON_FINITE}") as file:
        return TypeAdapter(list[NonFinite]).validate_json(file.read())


def _non_finite(files: Iterable[SourceFacts]) -> Iterator[NonFinite]:
    for file in files:
        for column, facts in file.facts.columns.items():
            if facts.nan or facts.infinite:
                yield NonFinite(
                    split=file.split, column=column, file=file.source, nan=facts.nan, infinite=facts.infinite
                )
