"""Tables that give files or lines their labels, and other columns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hubline.core.errors import UserError
from hubline.pipeline.convert import text
from hubline.pipeline.convert.collection import Values
from hubline.pipeline.convert.columns import Tally
from hubline.pipeline.convert.folders import listed
from hubline.pipeline.convert.from_csv import CsvFile, Dialect
from hubline.pipeline.convert.kinds import Kind
from hubline.pipeline.diagnostics import nearest

LABEL, FILE = "label", "file"
_MISSING = frozenset({""})


@dataclass(frozen=True)
class Typed:
    """A column of text as what all of its cells can be read as."""

    kind: Kind
    rows: pa.Array
    """For each row int64, float64 or binary, or a list of these; null where it is missing."""
    notes: Sequence[str]
    """What the user may not expect."""

    def __getitem__(self, row: int) -> Values:
        """The values in a row, counted from 0; none where it is missing."""
        value = self.rows[row].as_py()
        if value is None:
            return []
        return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Labels:
    """A table with a row for each file."""

    path: Path
    files: Sequence[str]
    columns: Mapping[str, Typed]
    """The label, and what else the table has; not the files."""


def typed(name: str, texts: pa.Array) -> Typed:
    """A column of cells, strings without nulls, by the rules of `hubline convert csv`."""
    tally = Tally()
    tally.add_texts(texts, _MISSING)
    column = tally.settle(name, None)
    values, _ = text.read(texts, column.read_as, _MISSING)
    return Typed(column.read_as, values, [f"{name}: {note}" for note in column.notes])


def split(name: str, texts: pa.Array, separator: str) -> Typed:
    """A column of cells that hold any number of values, as lists."""
    parts = pc.split_pattern(texts, separator)
    each = typed(name, pc.utf8_trim_whitespace(parts.flatten()))
    there = each.rows.is_valid().to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(there)])[parts.offsets.to_numpy()]
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), each.rows.drop_null())
    return Typed(each.kind, lists, each.notes)


def read_labels(path: Path, file_column: str, label_column: str, separator: str | None) -> Labels:
    """Reads a CSV file, or of the name .tsv one with tabs.

    Args:
        path: The file.
        file_column: Which column names the files.
        label_column: Which holds the labels; it is called `label` from here on.
        separator: What stands between several labels in a cell; None where there is one.

    Raises:
        UserError: where it cannot be read, or lacks a column; where a file is not named, or twice.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    table = CsvFile(str(path), Dialect("\t" if path.suffix == ".tsv" else ","))
    faults = [
        f"{path}: has no column {name!r}; {nearest(name, table.names)}; {option} names another"
        for option, name in (("--file-column", file_column), ("--label-column", label_column))
        if name not in table.names
    ]
    if faults:
        raise UserError("\n".join(faults))
    cells = _cells(table)
    files = [name.strip() for name in cells.pop(file_column).to_pylist()]
    _check_files(files, table)
    labels = cells.pop(label_column)
    columns = {LABEL: split(LABEL, labels, separator) if separator else typed(LABEL, labels)}
    return Labels(path, files, columns | {name: typed(name, texts) for name, texts in cells.items()})


def _cells(table: CsvFile) -> dict[str, pa.Array]:
    """All cells by column. They are held in memory: they are little beside the files that they name."""
    batches = list(table.batches(table.names))
    if not batches:
        raise UserError(f"{table.path}: there are no rows")
    return {name: pa.concat_arrays([batch[name] for batch in batches]) for name in table.names}


def _check_files(files: Sequence[str], table: CsvFile) -> None:
    unnamed = [row for row, name in enumerate(files) if not name]
    if unnamed:
        raise UserError(f"{table.place(unnamed[0])}: names no file ({len(unnamed):,} rows like this)")
    twice = [name for name, count in Counter(files).items() if count > 1]
    if twice:
        raise UserError(
            f"{table.path}: {len(twice):,} files have more than one row ({listed(twice)}); give each one row, with "
            "several labels in a cell if it has several (--separator)"
        )
