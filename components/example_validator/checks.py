"""What the pipeline file asks of the columns, checked on their statistics."""

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from components.config import Data, Drift, Evaluation
from components.example_validator.found import Finding
from components.statistics import ColumnStatistics, present, records, top_values
from components.statistics_gen.columns import NonFinite
from preprocessing.config import Features, Label, image_columns, input_columns
from preprocessing.section import Section

Statistics = Mapping[str, Mapping[str, ColumnStatistics]]
"""By split, the statistics of each column by name."""

_SHOWN_FILES = 3
_SHOWN_COLUMNS = 30
_SHOWN_LENGTH = 60


class Checks(Section):
    """What the pipeline file asks of the columns."""

    read: tuple[str, ...]
    """The columns that features and label are made from."""
    images: tuple[str, ...]
    """Those of them that hold encoded images."""
    sliced: tuple[str, ...]
    """The columns that the evaluation is sliced by."""
    drift: Drift | None = None
    """How far from the baseline the columns may be; None where there is no baseline."""

    @classmethod
    def of(cls, features: Features, label: Label, evaluation: Evaluation, data: Data) -> "Checks":
        """What the sections of a pipeline file ask."""
        return cls(
            read=tuple(dict.fromkeys([*input_columns(features), *label.columns])),
            images=tuple(sorted(image_columns(features))),
            sliced=tuple(evaluation.sliced_by),
            drift=(data.drift or Drift()) if data.baseline else None,
        )

    @property
    def limits(self) -> dict[str, float]:
        """The columns that are compared with the baseline, and how far each may be from it."""
        if self.drift is None:
            return {}
        read = {column: self.drift.max_distance for column in self.read if column not in self.images}
        return read | self.drift.columns


def check(checks: Checks, statistics: Statistics, non_finite: Sequence[NonFinite]) -> Iterator[Finding]:
    """All that is wrong with the columns, and what is worth knowing of them.

    Args:
        checks: What is asked of them.
        statistics: Of train, validation and test.
        non_finite: The values that are no finite numbers.
    """
    known = sorted({column for split in statistics.values() for column in split})
    yield from _not_there(checks, known)
    for column in checks.read:
        if column in known:
            yield from _of_training(column, statistics["train"])
            yield from _of_non_finite(column, non_finite)


def _not_there(checks: Checks, known: Sequence[str]) -> Iterator[Finding]:
    compared = checks.drift.columns if checks.drift else ()
    named = {"evaluation.slices names it": checks.sliced, "data.drift.columns names it": compared}
    for column in checks.read:
        if column not in known:
            yield Finding(column=column, what=f"features or label read it, and {_absent(column, known)}", stops=True)
    legible = [column for column in known if column not in checks.images]
    for by, columns in named.items():
        for column in columns:
            if column in checks.images:
                yield Finding(column=column, what=f"{by}, and it holds images", stops=True)
            elif column not in known:
                yield Finding(column=column, what=f"{by}, and {_absent(column, legible)}", stops=True)


def _absent(column: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(column, known, n=3, cutoff=0.7)
    meant = f"; did you mean {' or '.join(map(repr, close))}? Its" if close else "; its"
    more = f" and {len(known) - _SHOWN_COLUMNS} more" if len(known) > _SHOWN_COLUMNS else ""
    return f"the data has no such column{meant} columns are: {', '.join(known[:_SHOWN_COLUMNS])}{more}"


def _of_training(column: str, train: Mapping[str, ColumnStatistics]) -> Iterator[Finding]:
    found = train.get(column)
    if found is None or not present(found):
        missing = f"none of the {records(found):,} records has a value in it" if found else "no record has it"
        yield Finding(split="train", column=column, what=missing, stops=True)
    elif (constant := _constant(found)) is not None:
        what = f"every value is {constant}, in {present(found):,} of {records(found):,} records"
        yield Finding(split="train", column=column, what=what, stops=False)


def _constant(column: ColumnStatistics) -> str | None:
    """The one value that a column has; None where it has several, or they are not counted, as those of images."""
    if column.WhichOneof("stats") == "num_stats" and column.num_stats.min == column.num_stats.max:
        return f"{column.num_stats.min:g}"
    if column.WhichOneof("stats") == "string_stats" and column.string_stats.unique == 1:
        return next((repr(value) for value, _ in top_values(column, 1, _SHOWN_LENGTH)), "the same")
    return None


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
