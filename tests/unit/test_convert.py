"""CSV and Parquet files to TFRecords, against Python's own csv, pandas and pyarrow."""

import csv
import io
import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from hubline.components.config.data import Data
from hubline.components.pin.snapshot import pin_files
from hubline.core.errors import UserError
from hubline.pipeline import cli
from hubline.pipeline.convert import from_csv, shards, source
from hubline.pipeline.convert.convert import Conversion, Options, convert
from hubline.pipeline.convert.from_csv import CsvFile, Dialect
from hubline.pipeline.convert.from_parquet import ParquetFile
from hubline.pipeline.convert.kinds import Kind
from tests.support import example_data

Row = dict[str, list]


def from_text(folder: Path, *texts: str | bytes, dialect: Dialect | None = None, **options: Any) -> Conversion:
    """Converts files a.csv, b.csv, … of these texts in a folder, to its folder `out`."""
    files = []
    for letter, text in zip("abc", texts, strict=False):
        path = folder / f"{letter}.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        files.append(CsvFile(str(path), dialect or Dialect()))
    return convert(files, Options(output=folder / "out", **options), Console(quiet=True))


def from_tables(folder: Path, *tables: pa.Table, types: Mapping[str, Kind] = {}, **options: Any) -> Conversion:
    """Converts files a.parquet, b.parquet, … of these tables."""
    files = []
    for letter, table in zip("abc", tables, strict=False):
        pq.write_table(table, folder / f"{letter}.parquet")
        files.append(ParquetFile(str(folder / f"{letter}.parquet"), types))
    return convert(files, Options(output=folder / "out", types=types, **options), Console(quiet=True))


def rows_of(folder: Path) -> list[Row]:
    """The records in all shards, in their order: the values by column, of the columns that a record has."""
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
    """What a record holds of values as pandas and pyarrow give them, None and NaN for missing ones."""
    values = {name: value for name, value in row.items() if value is not None and value == value}
    return {
        name: [np.float32(value) if isinstance(value, float) else value.encode() if isinstance(value, str) else value]
        for name, value in values.items()
    }


text_cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6).map("t{}".format)
columns = st.one_of(
    st.tuples(st.just("int64"), st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=4, max_size=4)),
    st.tuples(st.just("float"), st.lists(st.none() | st.floats(allow_nan=False, width=32), min_size=4, max_size=4)),
    st.tuples(st.just("bytes"), st.lists(st.none() | text_cells, min_size=4, max_size=4)),
    st.tuples(st.just("int64"), st.lists(st.none() | st.booleans(), min_size=4, max_size=4)),
    st.tuples(st.just("int64"), st.lists(st.none() | st.datetimes(), min_size=4, max_size=4)),
)
tables = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=3).map("n{}".format).map(str.strip),
    columns,
    min_size=1,
    max_size=4,
)


@given(tables, st.sampled_from([",", ";", "\t"]), st.booleans())
@settings(deadline=None, max_examples=60)
def test_what_is_written_to_csv_is_in_the_records(
    table: dict[str, tuple[str, list]], delimiter: str, compressed: bool
) -> None:
    names = list(table)
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(names)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*(cells for _, cells in table.values()), strict=True)]
    rows = [row for row in rows if len(row) > 1 or any(value is not None for value in row.values())]
    writer.writerows([["" if row[name] is None else row[name] for name in names] for row in rows])
    with tempfile.TemporaryDirectory() as folder:
        if not rows:
            with pytest.raises(UserError, match="there are no rows"):
                from_text(Path(folder), out.getvalue(), dialect=Dialect(delimiter))
            return
        done = from_text(Path(folder), out.getvalue(), dialect=Dialect(delimiter), gzip=compressed)
        found = rows_of(Path(folder, "out"))
    seconds = [
        {
            name: (value - datetime(1970, 1, 1)) // timedelta(seconds=1) if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in rows
    ]
    assert found == [expected(row) for row in seconds]
    for name, (kind, cells) in table.items():
        there = [cell for cell in cells if cell is not None]
        assert not there or types_of(done)[name] == kind


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        ("1|-2|+3| 4 ", "int64", [1, -2, 3, 4]),
        ("007|0", "int64", [7, 0]),
        ("1|2.5|.5|1e3|5.|inf", "float", [1, 2.5, 0.5, 1000, 5, np.inf]),
        ("1|NaN|3", "int64", [1, None, 3]),
        ("nan|NaN", "float", [None, None]),
        ("9223372036854775808|1", "bytes", [b"9223372036854775808", b"1"]),
        ("9223372036854775808|0.5", "float", [2.0**63, 0.5]),
        ("true|False|TRUE", "int64", [1, 0, 1]),
        ("true|1", "bytes", [b"true", b"1"]),
        ("true|nan", "bytes", [b"true", b"nan"]),
        ("0x1F|1", "bytes", [b"0x1F", b"1"]),
        ("1_000|1", "bytes", [b"1_000", b"1"]),
        ("٣|1", "bytes", ["٣".encode(), b"1"]),
        ("1970-01-02|1969-12-31", "int64", [86400, -86400]),
        ("1970-01-01T00:00:01Z|1970-01-01 01:00+01|1970-01-01 00:00:00-0130", "int64", [1, 0, 5400]),
        ("1970-01-01 00:00:00.25|1969-12-31 23:59:59.75", "int64", [0, -1]),
        ("2023-02-28|2023-02-30", "bytes", [b"2023-02-28", b"2023-02-30"]),
        ("2023-02-28|20230228", "bytes", [b"2023-02-28", b"20230228"]),
        ("12:30|12:31", "bytes", [b"12:30", b"12:31"]),
        (" a |b", "bytes", [b" a ", b"b"]),
        ("  |b", "bytes", [None, b"b"]),
    ],
)
def test_types_are_inferred(tmp_path: Path, cells: str, kind: str, values: list) -> None:
    text = "".join(f"{number},{cell}\n" for number, cell in enumerate(cells.split("|")))
    done = from_text(tmp_path, f"n,x\n{text}")
    assert types_of(done)["x"] == kind
    assert [row.get("x") for row in rows_of(tmp_path / "out")] == [None if v is None else [v] for v in values]


@pytest.mark.parametrize(
    ("early", "late", "kind", "first"),
    [
        ("1", "0.5", "float", 1.0),
        ("1", "x", "bytes", b"1"),
        ("0.5", "x", "bytes", b"0.5"),
        ("true", "x", "bytes", b"true"),
        ("2024-01-01", "x", "bytes", b"2024-01-01"),
        ("", "7", "int64", None),
    ],
)
def test_types_hold_for_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, early: str, late: str, kind: str, first: object
) -> None:
    monkeypatch.setattr(from_csv, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr(from_csv, "BATCH_BYTES", 2000)
    text = "n,x\n" + f"1,{early}\n" * 2000 + f"1,{late}\n"
    assert len(list(CsvFile(written(tmp_path, text), Dialect()).batches(["x"]))) > 3
    done = from_text(tmp_path, text)
    assert types_of(done)["x"] == kind and done.rows == 2001
    assert rows_of(tmp_path / "out")[0] == {"n": [1]} | ({} if first is None else {"x": [first]})


def written(folder: Path, text: str) -> str:
    (folder / "file.csv").write_text(text)
    return str(folder / "file.csv")


def test_types_hold_for_all_files_and_columns_may_stand_in_another_order(tmp_path: Path) -> None:
    done = from_text(tmp_path, "n,x\n1,2\n", "x,n\n0.5,3\n")
    assert types_of(done) == {"n": "int64", "x": "float"}
    assert rows_of(tmp_path / "out") == [{"n": [1], "x": [2.0]}, {"n": [3], "x": [0.5]}]


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        ("1|2|n/a|-|n/a|", "x: 3 of 5 values are not numbers, such as 'n/a'"),
        ("x|1.5|true", "x: 2 of 3 values are not numbers, such as 'x'"),
        ("2024-01-01|soon", "x: 1 of 2 values are not dates, such as 'soon'"),
        ("true|maybe", "x: 1 of 2 values are not true or false, such as 'maybe'"),
        ("true|NaN", "x: 1 of 2 values are not true or false, such as 'NaN'"),
        ("9223372036854775808|1", "x: 1 integers need more than 64 bits"),
        ("00501|10001", "x: 1 integers lose the 0 they begin with; --type x=bytes keeps it"),
        (
            "17031081401.0|0.5|16777217|16777216",
            "x: 2 integers have more than the 24 bits of a float; --type x=int64 keeps them",
        ),
        ("1e300|0.5|inf", "x: 1 numbers are too large for a float and become infinite"),
        ("|", "x: no row has a value"),
        ("NaN|", "x: no row has a value"),
        ("a|NaN", None),
        ("0|0.25|16777216", None),
    ],
)
def test_surprises_are_noted(tmp_path: Path, cells: str, note: str | None) -> None:
    done = from_text(tmp_path, "n,x\n" + "".join(f"1,{cell}\n" for cell in cells.split("|")))
    assert notes_of(done) == ([note] if note else [])


def test_a_missing_cell_is_a_missing_column(tmp_path: Path) -> None:
    text = 'a,b,c\n1,NA,x\n?,2.5,\n"",nan, NA \n'
    done = from_text(tmp_path, text, missing=frozenset({"", "NA", "?"}))
    assert types_of(done) == {"a": "int64", "b": "float", "c": "bytes"}
    assert [column.missing for column in done.columns] == [2, 2, 2]
    assert rows_of(tmp_path / "out") == [{"a": [1], "c": [b"x"]}, {"b": [2.5]}, {}]


@pytest.mark.parametrize(
    ("kind", "cells", "values"),
    [
        (Kind.FLOAT, "1|nan|2", [1.0, None, 2.0]),
        (Kind.INTEGER, "1.0|17031081401.00|-3", [1, 17031081401, -3]),
        (Kind.BYTES, "00501|1.50| NaN", [b"00501", b"1.50", b" NaN"]),
        (Kind.BOOLEAN, "1|0|true", [1, 0, 1]),
        (Kind.TIMESTAMP, "1970-01-01|1970-01-01 00:01", [0, 60]),
    ],
)
def test_a_type_can_be_given(tmp_path: Path, kind: Kind, cells: str, values: list) -> None:
    done = from_text(tmp_path, "n,x\n" + "".join(f"1,{cell}\n" for cell in cells.split("|")), types={"x": kind})
    assert done.columns[1].read_as == kind
    assert [row.get("x") for row in rows_of(tmp_path / "out")] == [None if v is None else [v] for v in values]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (Kind.FLOAT, "abc"),
        (Kind.INTEGER, "1.5"),
        (Kind.INTEGER, "9223372036854775808"),
        (Kind.BOOLEAN, "yes"),
        (Kind.TIMESTAMP, "2023-02-30"),
        (Kind.TIMESTAMP, "12/31/2023"),
    ],
)
def test_a_cell_that_does_not_fit_its_given_type_is_named(tmp_path: Path, kind: Kind, cell: str) -> None:
    # Lines are counted as editors do: blank ones and those within quotes too.
    text = f'n,x,t\n\n1,,"two\nlines"\n1,{cell},\n'
    with pytest.raises(UserError, match=rf"a\.csv:5: column 'x': '{cell}' is not "):
        from_text(tmp_path, text, types={"x": kind})
    assert not (tmp_path / "out").exists()


def test_all_columns_with_cells_that_do_not_fit_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        from_text(tmp_path, "x,y\n1,2\na,2\n1,b\n", types={"x": Kind.FLOAT, "y": Kind.INTEGER})
    assert str(error.value).splitlines() == [
        f"{tmp_path}/a.csv:3: column 'x': 'a' is not a number",
        f"{tmp_path}/a.csv:4: column 'y': 'b' is not an integer of 64 bits",
    ]


def test_columns_are_chosen(tmp_path: Path) -> None:
    text = "a,b,c,d\n1,2,3,4\n"
    assert list(types_of(from_text(tmp_path, text, columns=["c", "a"]))) == ["a", "c"]
    assert list(types_of(from_text(tmp_path, text, drop=["b"], overwrite=True))) == ["a", "c", "d"]
    assert rows_of(tmp_path / "out") == [{"a": [1], "c": [3], "d": [4]}]


def test_without_a_header_columns_are_numbered(tmp_path: Path) -> None:
    from_text(tmp_path, "\n1,x\n2,y\n", dialect=Dialect(header=False))
    assert rows_of(tmp_path / "out") == [{"column_1": [1], "column_2": [b"x"]}, {"column_1": [2], "column_2": [b"y"]}]


def test_a_header_has_its_whims(tmp_path: Path) -> None:
    """A byte order mark, blank lines before it, spaces, a line break, no name for the index that pandas writes."""
    done = from_text(tmp_path, '\ufeff\n\r\n, b ,"c\nd"\r\n0,1,2\r\n'.encode())
    assert list(types_of(done)) == ["column_1", "b", "c\nd"]
    assert rows_of(tmp_path / "out") == [{"column_1": [0], "b": [1], "c\nd": [2]}]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp1252", "utf-8"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    from_text(tmp_path, "é,n\nñandú,1\n".encode(encoding), dialect=Dialect(encoding=encoding))
    assert rows_of(tmp_path / "out") == [{"é": ["ñandú".encode()], "n": [1]}]


@pytest.mark.parametrize("ending", ["gz", "bz2", "zst"])
def test_compressed_files_are_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.csv.{ending}"
    with pa.output_stream(path) as out:  # compresses by the name
        out.write(b"a\n1\n2\n")
    assert path.read_bytes() != b"a\n1\n2\n"
    convert([CsvFile(str(path), Dialect())], Options(output=tmp_path / "out"), Console(quiet=True))
    assert rows_of(tmp_path / "out") == [{"a": [1]}, {"a": [2]}]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([""], r"a\.csv: the file is empty$"),
        (["\n\n"], r"a\.csv: the file is empty$"),
        (["a,b\n"], r"a\.csv: there are no rows$"),
        (["a,b,a, b\n1,2,3,4\n"], r"a\.csv:1: more than one column is named 'a', 'b'$"),
        (
            ['a,b\n1,2\n\n"x\ny",2,3\n1,2\n1\n'],
            r"a\.csv:4: 3 cells where there are 2 columns\n.*a\.csv:7: 1 cells where there are 2 columns$",
        ),
        (["a,b\n" + "1,2,3\n" * 9], r"a\.csv:6: 3 cells where there are 2 columns\n.*: 4 more rows like these$"),
        ([b"a,b\n1,x\n1,\xe9\n"], r"a\.csv:3: byte 0xe9 is not utf-8; .*--encoding latin-1$"),
        ([b"a,\xe9\n1,x\n"], r"a\.csv:1: byte 0xe9 is not utf-8; .*--encoding latin-1$"),
        (['a,b\n1,"x\n2,y\n3,z\n'], r"a\.csv:2: a quote is opened in this row and never closed$"),
        (
            ["a,b,c\n1,2,3\n", "c,d,b\n1,2,3\n"],
            r"b\.csv: has no column 'a', which .*a\.csv has\n.*b\.csv: has a column 'd', which .*a\.csv has not$",
        ),
    ],
)
def test_broken_files_are_named(tmp_path: Path, texts: Sequence[str | bytes], said: str) -> None:
    with pytest.raises(UserError, match=said):
        from_text(tmp_path, *texts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("encoding", "option"), [("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be")]
)
@pytest.mark.parametrize(("delimiter", "named"), [(";", "';'"), ("\t", "tab"), ("|", "'|'")])
def test_errors_lead_to_the_options_that_read_the_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    encoding: str,
    option: str,
    delimiter: str,
    named: str,
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"n{delimiter}name\n1{delimiter}Ann\n2{delimiter}Bob\n".encode(encoding))
    arguments = ["csv", path, "--output", tmp_path / "out"]
    assert run(monkeypatch, *arguments) == 2
    assert f"is {option.upper()}, not utf-8; say so: --encoding {option}" in capfd.readouterr().err
    arguments += ["--encoding", option]
    assert run(monkeypatch, *arguments) == 2
    assert f"so say --delimiter {named}; where there is one column, say --delimiter ," in capfd.readouterr().err
    assert run(monkeypatch, *arguments, "--delimiter", shlex.split(named)[0]) == 0
    assert rows_of(tmp_path / "out") == [{"n": [1], "name": [b"Ann"]}, {"n": [2], "name": [b"Bob"]}]
    assert run(monkeypatch, *arguments, "--delimiter", ",", "--overwrite") == 0
    assert len(rows_of(tmp_path / "out")[0]) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("header", [True, False])
def test_a_byte_order_mark_is_no_part_of_a_table(tmp_path: Path, encoding: str, header: bool) -> None:
    mark = "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    content = f"{mark}a,b\nx,y\n".encode(encoding)
    for told in {encoding, "utf-8" if encoding == "utf-8-sig" else encoding}:
        from_text(tmp_path, content, dialect=Dialect(header=header, encoding=told), overwrite=True)
        expected = [{"a": [b"x"], "b": [b"y"]}]
        if not header:
            expected = [{"column_1": [one], "column_2": [two]} for one, two in ((b"a", b"b"), (b"x", b"y"))]
        assert rows_of(tmp_path / "out") == expected


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_what_is_not_in_the_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(UserError, match=rf"a\.csv.* is not {encoding}; .*--encoding utf-8"):
        from_text(tmp_path, b"a,b\n1,\xc3\xa9\nx", dialect=Dialect(encoding=encoding))


def test_a_row_that_no_block_holds_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_csv, "_BLOCK_BYTES", 1 << 20)
    with pytest.raises(UserError, match=r"a\.csv: a row is longer than 1 MiB; perhaps a quote"):
        from_text(tmp_path, 'a,b\n1,"x\n' + "2,y\n" * 1_000_000)


def test_a_bad_cell_in_a_column_that_is_left_out_does_no_harm(tmp_path: Path) -> None:
    from_text(tmp_path, b"a,b\n1,\xe9\n", drop=["b"])
    assert rows_of(tmp_path / "out") == [{"a": [1]}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ["fara"]}, "--columns fara: there is no such column; did you mean 'fare'"),
        ({"drop": ["x"]}, "--drop x: there is no such column; known here: fare, tips"),
        ({"types": {"tip": Kind.FLOAT}}, "--type tip: there is no such column; did you mean 'tips'"),
        ({"drop": ["fare", "tips"]}, "there is no column left"),
        ({"shards": 3}, "--shards 3: there are 2 rows"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        from_text(tmp_path, "fare,tips\n1,2\n3,4\n", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("wanted", "sizes"), [(None, [10]), (1, [10]), (3, [4, 3, 3]), (10, [1] * 10)])
@pytest.mark.parametrize("compressed", [True, False])
def test_shards_share_the_rows_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: int | None, sizes: list[int], compressed: bool
) -> None:
    monkeypatch.setattr(from_csv, "BATCH_ROWS", 4)
    done = from_text(tmp_path, "a\n" + "".join(f"{n}\n" for n in range(10)), shards=wanted, gzip=compressed)
    ending = "tfrecord.gz" if compressed else "tfrecord"
    names = [f"data-{number:05}-of-{len(sizes):05}.{ending}" for number in range(len(sizes))]
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == names == list(done.shards)
    compression = "GZIP" if compressed else ""
    assert [len(example_data.read_tfrecord(tmp_path / "out" / name, compression)) for name in names] == sizes
    assert [row["a"] for row in rows_of(tmp_path / "out")] == [[n] for n in range(10)]


def test_shards_are_bounded_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 5000)
    monkeypatch.setattr(from_csv, "BATCH_ROWS", 7)
    lengths = np.random.default_rng(0).integers(0, 900, 200).tolist()
    lengths[50] = 6000  # more than a shard holds
    text = "n,x\n" + "".join(f"{n},{'x' * length}\n" for n, length in enumerate(lengths))
    from_text(tmp_path, text)
    files = sorted((tmp_path / "out").iterdir())
    sizes = [path.stat().st_size for path in files]
    assert sum(size > 5000 for size in sizes) == 1
    records = [example_data.read_tfrecord(path) for path in files]
    assert [len(found) for found, size in zip(records, sizes, strict=True) if size > 5000] == [1]
    # None could take the first record of the next, too.
    for size, later in zip(sizes, records[1:], strict=False):
        assert size + len(later[0]) + 16 > 5000
    assert [row["n"] for row in rows_of(tmp_path / "out")] == [[n] for n in range(200)]


@pytest.mark.parametrize("compressed", [True, False])
def test_the_same_files_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool) -> None:
    text = "a,b,c,d\n" + "".join(f"{n},{n / 7},t{n % 5},{n % 3 or ''}\n" for n in range(500))
    from_text(tmp_path, text, shards=2, gzip=compressed)
    before = [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())]
    monkeypatch.setattr(from_csv, "BATCH_ROWS", 17)  # however the file is cut into batches
    from_text(tmp_path, text, shards=2, gzip=compressed, overwrite=True)
    assert [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())] == before


def test_nothing_but_shards_is_in_the_output_and_ingestion_takes_them_all(tmp_path: Path) -> None:
    done = from_text(tmp_path, "a\n1\n2\n3\n", shards=3)
    (pinned,) = pin_files(Data(examples=str(tmp_path / "out"))).by_split.values()
    assert [Path(file.path).name for file in pinned] == list(done.shards)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out"]


def test_an_output_that_holds_something_is_kept(tmp_path: Path) -> None:
    text = "a\n1\n"
    (tmp_path / "out").mkdir()
    from_text(tmp_path, text)  # an empty one is free
    with pytest.raises(UserError, match=r"out: holds 1 shards already; give another folder, or --overwrite"):
        from_text(tmp_path, text)
    from_text(tmp_path, "a\n5\n", overwrite=True)
    assert rows_of(tmp_path / "out") == [{"a": [5]}]
    (tmp_path / "out" / "precious.txt").touch()
    with pytest.raises(UserError, match=r"out: holds files that no conversion wrote \(precious.txt\)"):
        from_text(tmp_path, text, overwrite=True)
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_conversion_that_fails_half_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_text(tmp_path, "a\n1\n")

    def fail(*_: object) -> list[str]:
        (half,) = tmp_path.glob(".out-*/new")
        (half / "0").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(shards, "write_shards", fail)
    with pytest.raises(KeyboardInterrupt):
        from_text(tmp_path, "a\n2\n", overwrite=True)
    assert rows_of(tmp_path / "out") == [{"a": [1]}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "out"]


def test_a_file_that_changes_meanwhile_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = shards.write_shards

    def change(*arguments: Any) -> list[str]:
        names = write(*arguments)
        (tmp_path / "a.csv").write_text("a\n22\n")
        return names

    monkeypatch.setattr(shards, "write_shards", change)
    with pytest.raises(UserError, match="changed while"):
        from_text(tmp_path, "a\n1\n")
    assert not (tmp_path / "out").exists()


def utc(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=timezone.utc).timestamp())  # type: ignore[misc, arg-type]


PARQUET = {
    "int8": (pa.array([1, None, -3], pa.int8()), [[1], None, [-3]]),
    "uint32": (pa.array([2**32 - 1, None, 0], pa.uint32()), [[2**32 - 1], None, [0]]),
    "double": (pa.array([0.5, float("nan"), None]), [[0.5], None, None]),
    "decimal": (pa.array([Decimal("1.25"), None, Decimal("-2.50")]), [[1.25], None, [-2.5]]),
    "bool": (pa.array([True, None, False]), [[1], None, [0]]),
    "string": (pa.array(["é", None, ""]), [["é".encode()], None, [b""]]),
    "digits": (pa.array(["1", None, "2"]), [[b"1"], None, [b"2"]]),
    "binary": (pa.array([b"\xff\0", None, b""]), [[b"\xff\0"], None, [b""]]),
    "fixed": (pa.array([b"ab", None, b"cd"], pa.binary(2)), [[b"ab"], None, [b"cd"]]),
    "date": (pa.array([date(1969, 12, 31), None, date(2024, 2, 29)]), [[-86400], None, [utc(2024, 2, 29)]]),
    "micros": (
        pa.array([datetime(1969, 12, 31, 23, 59, 59, 500000), None, datetime(2024, 1, 1)], pa.timestamp("us")),
        [[-1], None, [utc(2024, 1, 1)]],
    ),
    "zoned": (
        pa.array([0, None, 1500], pa.timestamp("ms", "Europe/Paris")),
        [[0], None, [1]],
    ),
    "time": (pa.array([3661, None, 0], pa.time32("s")), [[b"01:01:01.000"], None, [b"00:00:00.000"]]),
    "dictionary": (pa.array(["x", None, "x"]).dictionary_encode(), [[b"x"], None, [b"x"]]),
    "numbers": (pa.array([7, None, 7]).dictionary_encode(), [[7], None, [7]]),
    "null": (pa.nulls(3), [None, None, None]),
    "ints": (pa.array([[1, 2, 3], None, []], pa.list_(pa.int32())), [[1, 2, 3], None, None]),
    "floats": (pa.array([[0.5], [], [1.5, 2.5]], pa.large_list(pa.float32())), [[0.5], None, [1.5, 2.5]]),
    "words": (pa.array([["a", ""], ["é"], None]), [[b"a", b""], ["é".encode()], None]),
    "pairs": (pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.int64(), 2)), [[1, 2], [3, 4], [5, 6]]),
    "flags": (pa.array([[True], [False, True], None]), [[1], [0, 1], None]),
    "days": (pa.array([[date(1970, 1, 2)], None, []]), [[86400], None, None]),
}


@pytest.mark.parametrize("rows", [source.BATCH_ROWS, 2])
def test_parquet_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr("hubline.pipeline.convert.from_parquet.BATCH_ROWS", rows)
    done = from_tables(tmp_path, pa.table({name: array for name, (array, _) in PARQUET.items()}))
    found = rows_of(tmp_path / "out")
    for name, (array, values) in PARQUET.items():
        assert [row.get(name) for row in found] == values, name
        (column,) = (column for column in done.columns if column.name == name)
        assert column.missing == values.count(None), name
        assert column.multiple == ("list" in str(array.type)), name


def test_parquet_lists_of_very_different_lengths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubline.pipeline.convert.encode._PADDED", 100)
    rng = np.random.default_rng(0)
    lists = [rng.integers(0, 99, size).tolist() for size in [*rng.integers(0, 30, 60), 500, 0, 1]]
    from_tables(tmp_path, pa.table({"x": lists}))
    assert [row.get("x", []) for row in rows_of(tmp_path / "out")] == lists


def test_parquet_files_of_integers_and_floats_are_floats(tmp_path: Path) -> None:
    done = from_tables(tmp_path, pa.table({"x": [2**60 + 1]}), pa.table({"x": [0.5]}))
    assert types_of(done) == {"x": "float"}
    assert rows_of(tmp_path / "out") == [{"x": [float(2**60)]}, {"x": [0.5]}]


@pytest.mark.parametrize(
    ("kind", "array", "values"),
    [
        (Kind.FLOAT, pa.array([1, None, 3]), [[1.0], None, [3.0]]),
        (Kind.INTEGER, pa.array([1.0, None, 2.0**40]), [[1], None, [2**40]]),
        (Kind.INTEGER, pa.array(["1", None, " 3 "]), [[1], None, [3]]),
        (Kind.BYTES, pa.array([1, None, 3]), [[b"1"], None, [b"3"]]),
        (Kind.TIMESTAMP, pa.array(["1970-01-02", None, ""]).dictionary_encode(), [[86400], None, None]),
        (Kind.BOOLEAN, pa.array([1, None, 0]), [[1], None, [0]]),
    ],
)
def test_a_parquet_column_can_be_read_as_another_type(
    tmp_path: Path, kind: Kind, array: pa.Array, values: list
) -> None:
    done = from_tables(tmp_path, pa.table({"x": array, "n": [1, 2, 3]}), types={"x": kind})
    assert done.columns[0].read_as == kind
    assert [row.get("x") for row in rows_of(tmp_path / "out")] == values


@pytest.mark.parametrize(
    ("columns", "types", "said"),
    [
        (
            {"s": pa.array([{"a": 1}]), "m": pa.array([[[1]]]), "n": pa.array([1])},
            {},
            r"column 's' is struct<a: int64>, which a tf.Example cannot hold; .*: --drop s\n.*column 'm' is list",
        ),
        ({"u": pa.array([2**63], pa.uint64())}, {}, r"a\.parquet: column 'u': Integer value 9223372036854775808"),
        ({"x": pa.array([[1], [2, None]])}, {}, r"a\.parquet: row 1 \(counted from 0\): column 'x': a value within"),
        ({"x": pa.array([1, 2.5])}, {"x": Kind.INTEGER}, r"row 1 \(counted from 0\): column 'x': '2.5' is not an int"),
        ({"x": pa.array([[1]])}, {"x": Kind.FLOAT}, r"column 'x' is list.*; take back its --type"),
        ({"x": pa.array([b"\xff"])}, {"x": Kind.FLOAT}, r"a\.parquet: column 'x': Invalid UTF8"),
        ({"x": pa.array([], pa.int64())}, {}, "a.parquet: there are no rows"),
    ],
)
def test_parquet_columns_that_cannot_be_converted_are_named(
    tmp_path: Path, columns: dict[str, pa.Array], types: dict[str, Kind], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        from_tables(tmp_path, pa.table(columns), types=types)
    assert not (tmp_path / "out").exists()


def test_parquet_files_that_differ_are_an_error(tmp_path: Path) -> None:
    tables = pa.table({"x": [1]}), pa.table({"x": ["a"]})
    with pytest.raises(
        UserError, match=r"column 'x' is int64 in .*a\.parquet and bytes in .*b\.parquet; --type x=bytes"
    ):
        from_tables(tmp_path, *tables)
    from_tables(tmp_path, *tables, types={"x": Kind.BYTES})
    assert rows_of(tmp_path / "out") == [{"x": [b"1"]}, {"x": [b"a"]}]


def test_a_struct_that_is_left_out_does_no_harm(tmp_path: Path) -> None:
    from_tables(tmp_path, pa.table({"s": [{"a": 1}], "a.b": [2]}), drop=["s"])
    assert rows_of(tmp_path / "out") == [{"a.b": [2]}]


def test_what_is_no_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"a\.parquet: cannot be read as a Parquet file: "):
        ParquetFile(str(tmp_path / "a.parquet"), {})


@pytest.mark.parametrize("name", ["california_housing/housing.csv", "chicago_taxi/data.csv"])
def test_real_data_are_what_pandas_and_pyarrow_read(shared_data: Path, tmp_path: Path, name: str) -> None:
    path = shared_data / name
    done = convert([CsvFile(str(path), Dialect())], Options(output=tmp_path / "csv"), Console(quiet=True))
    found = rows_of(tmp_path / "csv")
    frame = pd.read_csv(path)
    table = pa.csv.read_csv(
        path, pa.csv.ReadOptions(block_size=1 << 30), convert_options=pa.csv.ConvertOptions(strings_can_be_null=True)
    )
    kinds = {pa.int64(): "int64", pa.float64(): "float", pa.string(): "bytes"}
    assert types_of(done) == {field.name: kinds[field.type] for field in table.schema}
    assert len(found) == done.rows == len(frame)
    for column in done.columns:
        series = frame[column.name].astype("Int64") if column.type == "int64" else frame[column.name]
        assert column.missing == series.isna().sum()
        values = [None if pd.isna(value) else expected({"x": value})["x"] for value in series]
        assert [row.get(column.name) for row in found] == values
    # Parquet gives the same, to the byte.
    from_tables(tmp_path, table)
    (from_csv_file,), (from_parquet_file,) = (tmp_path / "csv").iterdir(), (tmp_path / "out").iterdir()
    assert from_parquet_file.read_bytes() == from_csv_file.read_bytes()


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["hubline", "convert", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0  # type: ignore[return-value]


def test_the_command_shows_the_columns_and_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "trips.csv", tmp_path / "data"
    path.write_text("fare;paid;when;id;zip\n12.5;true;1970-01-02;7;00501\nNA;false;;8;10001\n-;;;9;12345\n")
    options = ["--delimiter", ";", "--missing", "NA,-", "--drop", "id", "--type", "zip=bytes", "--gzip"]
    assert run(monkeypatch, "csv", path, "--output", output, *options) == 0
    printed = [" ".join(line.split()) for line in capfd.readouterr().out.splitlines()]
    assert printed[:-2] == [
        "3 rows",
        "column type missing example",
        "fare float 2 12.5",
        "paid int64 (1 and 0) 1 true",
        "when int64 (seconds since 1970) 2 1970-01-02",
        "zip bytes 00501",
    ]
    assert printed[-2].startswith(f"3 examples in 1 file in {output}, ")
    assert printed[-1] == f"Next: hubline init {output}"
    assert rows_of(output)[0] == {"fare": [12.5], "paid": [1], "when": [86400], "zip": [b"00501"]}


def test_the_command_prints_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table({"x": [[1, 2], None], "y": ["a", "1"]}), tmp_path / "a.parquet")
    arguments = ["parquet", tmp_path / "a.parquet", "--output", tmp_path / "data", "--shards", 2, "--json"]
    assert run(monkeypatch, *arguments) == 0
    said = json.loads(capfd.readouterr().out)
    assert said.pop("seconds") > 0
    common = {"notes": []}
    assert said == {
        "status": "succeeded",
        "output": str(tmp_path / "data"),
        "shards": ["data-00000-of-00002.tfrecord", "data-00001-of-00002.tfrecord"],
        "rows": 2,
        "columns": [
            {
                "name": "x",
                "type": "int64",
                "read_as": "int64",
                "multiple": True,
                "missing": 1,
                "example": "1",
                **common,
            },
            {
                "name": "y",
                "type": "bytes",
                "read_as": "bytes",
                "multiple": False,
                "missing": 0,
                "example": "a",
                **common,
            },
        ],
    }
    assert run(monkeypatch, *arguments) == 2
    said = json.loads(capfd.readouterr().out)
    assert said["status"] == "mistake" and "holds 2 shards already" in said["error"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.csv", "nor.csv"], "none.csv: there is no such file\nnor.csv: there is no such file\n"),
        (["."], ".: is a folder; name the files in it\n"),
        (["a.csv", "--type", "a"], "--type a: takes NAME=TYPE, where TYPE is one of int64, float, bytes, boolean"),
        (["a.csv", "--type", "a=double"], "--type a=double: takes NAME=TYPE"),
        (["a.csv", "--delimiter", ";;"], "--delimiter ;;: takes one character"),
        (["a.csv", "--encoding", "latin-99"], "--encoding latin-99: there is no such encoding"),
        (["a.csv", "--type", "a=float"], "a.csv:3: column 'a': 'x' is not a number\n"),
        (["a.csv", "--output", "a.csv"], "a.csv: is a file; --output takes a folder\n"),
    ],
)
def test_mistakes_end_with_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("a,b\n1,2\nx,3\n")
    assert run(monkeypatch, "csv", "--output", "out", *arguments) == 2
    assert capfd.readouterr().err.replace(f"{tmp_path}/", "").startswith(said)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_help_and_mistakes_need_no_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n1\n")
    script = (
        "import sys\n"
        "from hubline.pipeline.cli import main\n"
        "for arguments in (['csv', '--help'], ['csv', sys.argv[1], '--output', 'out']):\n"
        "    sys.argv = ['hubline', 'convert', *arguments]\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as end:\n"
        "        print(end.code)\n"
        "print('tensorflow' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.csv")], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-2:] == ["2", "False"], ran.stderr
    assert "trips-*.csv" in ran.stdout
