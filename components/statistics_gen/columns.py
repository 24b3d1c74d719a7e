"""What is known of the columns of each file beside its statistics: their types, and the values that are no numbers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import TypeAdapter

from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.errors import DataError

_NON_FINITE = "non_finite.json"


class ColumnFacts(Section):
    """A column in one file of a split."""

    kinds: dict[str, int]
    """Records that have the column, by the type of its values: `int64`, `float` or `bytes`."""
    nan: int = 0
    """Values that are NaN."""
    infinite: int = 0
    """Values that are infinite."""


class FileFacts(Section):
    """The columns of one data file in a split, by name."""

    columns: dict[str, ColumnFacts] = {}


def are_mixed(files: Iterable[FileFacts]) -> bool:
    """Whether a column has values of several types."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for file in files:
        for name, column in file.columns.items():
            kinds[name].update(column.kinds)
    return any(len(found) > 1 for found in kinds.values())


@dataclass(frozen=True)
class Described:
    """What a split has of one data file, and what is known of that."""

    split: str
    source: str
    """The data file that its records came from."""
    facts: FileFacts


class NonFinite(Section):
    """Values of a column, in one file of a split, that are no finite numbers."""

    split: str
    column: str
    file: str
    """The data file that they came in."""
    nan: int
    infinite: int


def refuse_mixed_types(files: Iterable[Described]) -> None:
    """Makes sure that each column has one type.

    Raises:
        DataError: names each column that has several, with a file of each type.
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
        raise DataError("a column has one type in all files, and these have several:\n" + "\n".join(mixed))


def _places(counts: Counter[tuple[str, str]]) -> str:
    """For example `90 records (train: data/a.tfrecord and 3 more files)`."""
    (first, split), *_ = sorted(counts)
    others = len({source for source, _ in counts}) - 1
    more = f" and {others} more file{'s' if others > 1 else ''}" if others else ""
    return f"{counts.total():,} record{'s' if counts.total() > 1 else ''} ({split}: {first}{more})"


def write_non_finite(uri: str, files: Iterable[Described]) -> None:
    """Writes into a statistics artifact which files have values that are no finite numbers."""
    storage.write_bytes(f"{uri}/{_NON_FINITE}", TypeAdapter(list[NonFinite]).dump_json(list(_non_finite(files))))


def read_non_finite(uri: str) -> list[NonFinite]:
    """The values that are no finite numbers, from a statistics artifact."""
    with storage.open_binary(f"{uri}/{_NON_FINITE}") as file:
        return TypeAdapter(list[NonFinite]).validate_json(file.read())


def _non_finite(files: Iterable[Described]) -> Iterator[NonFinite]:
    for file in files:
        for column, facts in file.facts.columns.items():
            if facts.nan or facts.infinite:
                yield NonFinite(
                    split=file.split, column=column, file=file.source, nan=facts.nan, infinite=facts.infinite
                )
