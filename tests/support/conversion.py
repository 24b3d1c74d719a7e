"""Runs `hubline convert`, and reads the records it wrote."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from rich.console import Console

from hubline.pipeline import cli
from hubline.pipeline.convert.convert import Conversion, Options, convert
from hubline.pipeline.convert.from_csv import CsvFile, Dialect
from hubline.pipeline.convert.from_parquet import ParquetFile
from hubline.pipeline.convert.kinds import CellType
from tests.support import example_data

Row = dict[str, list]


def from_text(folder: Path, *texts: str | bytes, dialect: Dialect | None = None, **options: Any) -> Conversion:
    """Converts files a.csv, b.csv, … with the given texts in a folder, to its folder `out`."""
    files = []
    for letter, text in zip("abc", texts, strict=False):
        path = folder / f"{letter}.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        files.append(CsvFile(str(path), dialect or Dialect()))
    return convert(files, Options(output=folder / "out", **options), Console(quiet=True))


def from_tables(folder: Path, *tables: pa.Table, types: Mapping[str, CellType] = {}, **options: Any) -> Conversion:
    """Converts files a.parquet, b.parquet, … with the given tables."""
    files = []
    for letter, table in zip("abc", tables, strict=False):
        pq.write_table(table, folder / f"{letter}.parquet")
        files.append(ParquetFile(str(folder / f"{letter}.parquet"), types))
    return convert(files, Options(output=folder / "out", types=types, **options), Console(quiet=True))


def rows_of(folder: Path) -> list[Row]:
    """The records in all shards, in order: values by column, without missing columns."""
    found = []
    for path in sorted(folder.iterdir()):
        for record in example_data.read_tfrecord(path, "GZIP" if path.suffix == ".gz" else ""):
            features = tf.train.Example.FromString(record).features.feature
            found.append({name: list(getattr(f, f.WhichOneof("kind")).value) for name, f in features.items()})
    return found


def types_of(done: Conversion) -> dict[str, str]:
    return {column.name: column.type for column in done.columns}


def notes_of(done: Conversion) -> list[str]:
    return [f"{column.name}: {note}" for column in done.columns for note in column.notes]


def expected(row: Mapping[str, Any]) -> Row:
    """The record expected for values from pandas or pyarrow, in which None and NaN are missing."""
    values = {name: value for name, value in row.items() if value is not None and value == value}
    return {
        name: [np.float32(value) if isinstance(value, float) else value.encode() if isinstance(value, str) else value]
        for name, value in values.items()
    }


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["hubline", "convert", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0  # type: ignore[return-value]
