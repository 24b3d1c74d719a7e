"""Checks column statistics against the requirements of the pipeline file."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from hubline.artifacts.column_statistics import ColumnStatistics, not_text, present, records, top_values, type_of
from hubline.artifacts.findings import Finding
from hubline.components.config.drift import Drift
from hubline.components.statistics_gen.columns import NonFinite
from hubline.core.config_base import Section
from hubline.core.number_format import shown
from hubline.preprocessing.column_type import ColumnType

Statistics = Mapping[str, Mapping[str, ColumnStatistics]]
"""Statistics of each column, by split and column name."""

_SHOWN_FILES = 3
_SHOWN_COLUMNS = 30
_SHOWN_LENGTH = 60

_TYPES: dict[str, ColumnType] = {"int": "int", "float": "float", "string": "bytes", "bytes": "bytes"}
"""Column types by TFDV's names."""

_WORDS: dict[ColumnType, str] = {"int": "integers", "float": "floats", "bytes": "strings"}

_FIT: dict[ColumnType, str] = {
    "int": "integers are for kind: numeric, bucketized, categorical or timestamp",
    "float": "floats are for kind: numeric or bucketized; a bucketized feature can be crossed",
    "bytes": "strings are for kind: categorical, text or timestamp",
}
"""For each type, the kinds of feature that accept it."""


class ColumnUse(Section):
    """A feature or label that uses a column."""

    key: str
    """Key in the pipeline file, such as `features.age`."""
    kind: str
    column: str
    types: tuple[ColumnType, ...]
    """Accepted types."""


class Checks(Section):
    """Requirements of the pipeline file on columns; `requirements.checks_of` collects them."""

    uses: tuple[ColumnUse, ...]
    """Columns of features and label."""
    images: tuple[str, ...]
    """The columns that hold encoded images, sounds or masks."""
    sliced: tuple[str, ...]
    """Columns used for slices."""
    drift: Drift | None = None
    """Limits for the distance to the baseline; None without a baseline."""

    @property
    def read(self) -> tuple[str, ...]:
        """Columns used by features and label, without duplicates."""
        return tuple(dict.fromkeys(use.column for use in self.uses))

    def uses_of(self, column: str) -> list[ColumnUse]:
        """Features and label that use a column."""
        return [use for use in self.uses if use.column == column]

    @property
    def limits(self) -> dict[str, float]:
        """Columns compared with the baseline, with the maximum distance of each."""
        if self.drift is None:
            return {}
        read = {column: self.drift.max_distance for column in self.read if column not in self.images}
        return read | self.drift.columns


def check(checks: Checks, statistics: Statistics, non_finite: Sequence[NonFinite]) -> Iterator[Finding]:
    """Yields problems and warnings.

    Args:
        checks: The requirements.
        statistics: For train, validation and test.
        non_finite: Infinite and NaN values.
    """
    known = sorted({column for split in statistics.values() for column in split})
    yield from _not_there(checks, known)
    for column in checks.sliced:
        if column not in checks.images:
            yield from _of_slices(column, statistics)
    for column in checks.read:
        if column in known:
            uses = checks.uses_of(column)
            yield from _of_training(column, uses, statistics["train"])
            yield from _of_types(column, uses, statistics)
            yield from _of_non_finite(column, non_finite)


def _not_there(checks: Checks, known: Sequence[str]) -> Iterator[Finding]:
    compared = checks.drift.columns if checks.drift else ()
    named = {"evaluation.slices names this column": checks.sliced, "data.drift.columns names this column": compared}
    for column in checks.read:
        if column not in known:
            what = f"needed for {_keys(checks.uses_of(column))}, but {_absent(column, known)}"
            yield Finding(column=column, what=what, stops=True)
    legible = [column for column in known if column not in checks.images]
    for by, columns in named.items():
        for column in columns:
            if column in checks.images:
                yield Finding(column=column, what=f"{by}, but the column contains encoded files", stops=True)
            elif column not in known:
                yield Finding(column=column, what=f"{by}, but {_absent(column, legible)}", stops=True)


def _of_slices(column: str, statistics: Statistics) -> Iterator[Finding]:
    """Slice columns with bytes that are not text; slice names must be text."""
    for split, columns in statistics.items():
        found = columns.get(column)
        count = 0 if found is None else not_text(found)
        if count:
            what = (
                f"evaluation.slices names this column, but {count:,} of its values are not UTF-8 text; write them as "
                "UTF-8, or remove the column from the slices"
            )
            yield Finding(split=split, column=column, what=what, stops=True)


def _absent(column: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(column, known, n=3, cutoff=0.7)
    meant = f"; did you mean {' or '.join(map(repr, close))}? Its" if close else "; its"
    more = f" and {len(known) - _SHOWN_COLUMNS} more" if len(known) > _SHOWN_COLUMNS else ""
    return f"the data has no such column{meant} columns are: {', '.join(known[:_SHOWN_COLUMNS])}{more}"


def _of_training(column: str, uses: Sequence[ColumnUse], train: Mapping[str, ColumnStatistics]) -> Iterator[Finding]:
    found = train.get(column)
    if found is None:
        yield Finding(split="train", column=column, what=f"needed for {_keys(uses)}, but no record has it", stops=True)
        return
    if not _has_values(found):
        what = f"none of the {records(found):,} records has a value"
    elif constant := _constant(found):
        value, count = constant
        what = f"every value is {value}, in {count:,} of {records(found):,} records"
    else:
        return
    what = f"{what}, so the column carries no information; consider removing {_keys(uses)}"
    yield Finding(split="train", column=column, what=what, stops=False)


def _has_values(column: ColumnStatistics) -> bool:
    """Whether any record has a value. Empty strings count as missing."""
    return present(column) > 0 and not (_is_counted(column) and top_values(column, 2, 1) == [("", present(column))])


def _constant(column: ColumnStatistics) -> tuple[str, int] | None:
    """The value of a constant column, and how many records have it; empty strings count as missing.

    None if there are several values, or they are not counted, as for images.
    """
    if column.WhichOneof("stats") == "num_stats" and column.num_stats.min == column.num_stats.max:
        return shown(column.num_stats.min), present(column)
    if _is_counted(column):
        top = top_values(column, 2, _SHOWN_LENGTH)
        words = [(repr(word), min(int(count), present(column))) for word, count in top if word]
        if len(top) == column.string_stats.unique and len(words) == 1:
            return words[0]
    return None


def _is_counted(column: ColumnStatistics) -> bool:
    return column.WhichOneof("stats") == "string_stats" and column.string_stats.unique > 0


def _of_types(column: str, uses: Sequence[ColumnUse], statistics: Statistics) -> Iterator[Finding]:
    """Uses that don't accept the column's type, which is the same in all splits."""
    splits = [(split, columns[column]) for split, columns in statistics.items() if column in columns]
    split, found = next((each for each in splits if _has_values(each[1])), splits[0])
    found_type = _TYPES.get(type_of(found))
    for use in uses:
        if found_type is None or found_type in use.types:
            continue
        if _has_values(found):
            takes = " or ".join(_WORDS[each] for each in use.types)
            holds = f"the column contains {_WORDS[found_type]}{_such_as(found)}; {_FIT[found_type]}"
            what = f"{use.key} is {use.kind}, which accepts {takes}, but {holds}"
        else:
            what = f"{use.key} is {use.kind}, but a column without values is read as {_WORDS[found_type]}"
            what += f"; remove {use.key}"
        yield Finding(split=split, column=column, what=what, stops=True)


def _such_as(column: ColumnStatistics) -> str:
    """For example `, such as 'thirty'`; empty if values are not counted."""
    if column.WhichOneof("stats") == "num_stats":
        return f", such as {shown(column.num_stats.max)}"
    return next((f", such as {word!r}" for word, _ in top_values(column, 2, _SHOWN_LENGTH) if word), "")


def _keys(uses: Sequence[ColumnUse]) -> str:
    return " and ".join(dict.fromkeys(use.key for use in uses))


def _of_non_finite(column: str, non_finite: Iterable[NonFinite]) -> Iterator[Finding]:
    of_column = [entry for entry in non_finite if entry.column == column]
    for split, group in groupby(of_column, lambda entry: entry.split):
        entries = list(group)
        infinite = {entry.file: entry.infinite for entry in entries if entry.infinite}
        nan = {entry.file: entry.nan for entry in entries if entry.nan}
        if infinite:
            yield Finding(split=split, column=column, what=f"has {_counted(infinite, 'infinite')}", stops=True)
        if nan:
            what = f"has {_counted(nan, 'NaN')}; they count as missing"
            yield Finding(split=split, column=column, what=what, stops=False)


def _counted(counts: Mapping[str, int], what: str) -> str:
    """For example `12 NaN values: 10 in data/a.tfrecord, 2 in data/b.tfrecord`."""
    total, files = sum(counts.values()), sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    places = [f"{count:,} in {file}" for file, count in files[:_SHOWN_FILES]]
    places += [f"others in {len(files) - _SHOWN_FILES} more files"] if len(files) > _SHOWN_FILES else []
    return f"{total:,} {what} value{'s' if total > 1 else ''}: {', '.join(places)}"
