"""Tables with labels, and other columns, for files or lines."""

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
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.diagnostics import nearest

LABEL, FILE = "label", "file"
_MISSING = frozenset({""})


@dataclass(frozen=True)
class TypedColumn:
    """A text column, converted to the kind that fits all of its cells."""

    kind: CellType
    rows: pa.Array
    """Each row as int64, float64 or binary, or a list of these; null if missing."""
    notes: Sequence[str]
    """Notes for the user."""

    def __getitem__(self, row: int) -> Values:
        """Values in a row; none if missing."""
        value = self.rows[row].as_py()
        if value is None:
            return []
        return value if isinstance(value, list) else [value]


@dataclass(frozen=True)
class Labels:
    """A table with one row per file."""

    path: Path
    files: Sequence[str]
    columns: Mapping[str, TypedColumn]
    """The label and the table's other columns, without the file names."""


def typed(name: str, texts: pa.Array) -> TypedColumn:
    """Converts a column of cells, strings without nulls, by the rules of `hubline convert csv`."""
    tally = Tally()
    tally.add_texts(texts, _MISSING)
    column = tally.settle(name, None)
    values, _ = text.read(texts, column.reading, _MISSING)
    return TypedColumn(column.read_as, values, [f"{name}: {note}" for note in column.notes])


def split(name: str, texts: pa.Array, separator: str) -> TypedColumn:
    """Converts a column of cells with any number of values to lists."""
    parts = pc.split_pattern(texts, separator)
    each = typed(name, pc.utf8_trim_whitespace(parts.flatten()))
    there = each.rows.is_valid().to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(there)])[parts.offsets.to_numpy()]
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), each.rows.drop_null())
    return TypedColumn(each.kind, lists, each.notes)


def read_labels(path: Path, file_column: str, label_column: str, separator: str | None) -> Labels:
    """Reads a CSV file, or a .tsv file with tabs.

    Args:
        path: The file.
        file_column: Column with the file names.
        label_column: Column with the labels; renamed to `label`.
        separator: Separator of several labels in a cell; None for one label.

    Raises:
        UserError: if the file cannot be read or lacks a column, or a file name is missing or repeated.
    """
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    table = CsvFile(str(path), Dialect("\t" if path.suffix == ".tsv" else ","))
    faults = [
        f"{path}: has no column {name!r}; {nearest(name, table.names)}; use {option} for another column"
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
    """All cells by column, in memory: they are small compared with the files that they name."""
    batches = list(table.batches(table.names))
    if not batches:
        raise UserError(f"{table.path}: contains no rows")
    return {name: pa.concat_arrays([batch[name] for batch in batches]) for name in table.names}


def _check_files(files: Sequence[str], table: CsvFile) -> None:
    unnamed = [row for row, name in enumerate(files) if not name]
    if unnamed:
        raise UserError(f"{table.place(unnamed[0])}: names no file ({len(unnamed):,} such rows)")
    twice = [name for name, count in Counter(files).items() if count > 1]
    if twice:
        raise UserError(
            f"{table.path}: {len(twice):,} files have more than one row ({listed(twice)}); use one row per file, with "
            "several labels in one cell if needed (--separator)"
        )
