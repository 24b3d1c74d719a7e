"""Converts CSV tables to records: types, missing cells, dialects and broken files."""

import csv
import io
import re
import shlex
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from hubline.core.errors import UserError
from hubline.pipeline.convert import from_csv
from hubline.pipeline.convert.convert import Options, convert
from hubline.pipeline.convert.from_csv import CsvFile, Dialect
from hubline.pipeline.convert.kinds import CellType
from tests.support.conversion import expected, from_text, notes_of, rows_of, run, types_of

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
@pytest.mark.slow
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
            with pytest.raises(UserError, match="contains no rows"):
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
        whole = kind == "float" and len(there) < len(cells) and all(re.fullmatch(r"-?\d+\.0", str(x)) for x in there)
        assert not there or types_of(done)[name] == ("int64" if whole else kind)


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        ("1|-2|+3| 4 ", "int64", [1, -2, 3, 4]),
        ("007|0", "bytes", [b"007", b"0"]),
        ("8.0||9.0", "int64", [8, None, 9]),
        ("8.0|9.0", "float", [8.0, 9.0]),
        ("1|2.5|.5|1e3|5.|inf", "float", [1, 2.5, 0.5, 1000, 5, np.inf]),
        ("1|NaN|3", "int64", [1, None, 3]),
        ("nan|NaN", "float", [None, None]),
        ("9223372036854775808|1", "bytes", [b"9223372036854775808", b"1"]),
        ("9223372036854775808|0.5", "float", [2.0**63, 0.5]),
        ("true|False|TRUE", "int64", [1, 0, 1]),
        ("true|1", "bytes", [b"true", b"1"]),
        ("true|nan", "int64", [1, None]),
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


@pytest.mark.slow
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
    monkeypatch.setattr(from_csv, "BLOCK_BYTES", 1000)
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
        ("1|2|n/a|-|n/a|", None),
        ("1|2|3|4|5|x", "x: 1 of 6 values are not numbers, such as 'x'; with --misfits 0.167, they become missing"),
        ("x|1.5|true", "x: 2 of 3 values are not numbers, such as 'x'"),
        ("2024-01-01|soon", "x: 1 of 2 values are not dates, such as 'soon'"),
        ("true|maybe", "x: 1 of 2 values are not true or false, such as 'maybe'"),
        ("9223372036854775808|1", "x: 1 integers need more than 64 bits"),
        ("00501|10001", "x: codes with leading zeros such as '00501' stay text; --type x=int64 reads numbers"),
        ("8.0|", "x: whole numbers with gaps, as pandas writes integers; --type x=float reads floats"),
        ("$5|€6", "x: several currencies: $, €"),
        (
            "17031081401.0|0.5|16777217|16777216",
            "x: 2 integers need more than the 24 bits of a float; --type x=int64 keeps them",
        ),
        ("1e300|0.5|inf", "x: 1 numbers are too large for a float and become infinite"),
        ("|", "x: no row has a value"),
        ("NaN|", "x: no row has a value"),
        ("a|NaN", "x: cells such as 'NaN' (1) are words here; --missing 'NaN' makes them missing"),
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
        (CellType.FLOAT, "1|nan|2", [1.0, None, 2.0]),
        (CellType.INTEGER, "1.0|17031081401.00|-3", [1, 17031081401, -3]),
        (CellType.BYTES, "00501|1.50| NaN", [b"00501", b"1.50", b" NaN"]),
        (CellType.BOOLEAN, "1|0|true", [1, 0, 1]),
        (CellType.TIMESTAMP, "1970-01-01|1970-01-01 00:01", [0, 60]),
    ],
)
def test_a_type_can_be_given(tmp_path: Path, kind: CellType, cells: str, values: list) -> None:
    done = from_text(tmp_path, "n,x\n" + "".join(f"1,{cell}\n" for cell in cells.split("|")), types={"x": kind})
    assert done.columns[1].read_as == kind
    assert [row.get("x") for row in rows_of(tmp_path / "out")] == [None if v is None else [v] for v in values]


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        (CellType.FLOAT, "abc"),
        (CellType.INTEGER, "1.5"),
        (CellType.INTEGER, "9223372036854775808"),
        (CellType.BOOLEAN, "maybe"),
        (CellType.TIMESTAMP, "2023-02-30"),
        (CellType.TIMESTAMP, "12/31/2023"),
    ],
)
def test_a_cell_that_does_not_fit_its_given_type_is_named(tmp_path: Path, kind: CellType, cell: str) -> None:
    # Lines are counted as editors do, including blank lines and those within quotes.
    text = f'n,x,t\n\n1,,"two\nlines"\n1,{cell},\n'
    with pytest.raises(UserError, match=rf"a\.csv:5: column 'x': '{cell}' is not "):
        from_text(tmp_path, text, types={"x": kind})
    assert not (tmp_path / "out").exists()


def test_all_columns_with_cells_that_do_not_fit_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        from_text(tmp_path, "x,y\n1,2\na,2\n1,b\n", types={"x": CellType.FLOAT, "y": CellType.INTEGER})
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
    """Byte order mark, blank lines before it, spaces, a line break, and no name for the index that pandas writes."""
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
    with pa.output_stream(path) as out:  # compresses by file extension
        out.write(b"a\n1\n2\n")
    assert path.read_bytes() != b"a\n1\n2\n"
    convert([CsvFile(str(path), Dialect())], Options(output=tmp_path / "out"), Console(quiet=True))
    assert rows_of(tmp_path / "out") == [{"a": [1]}, {"a": [2]}]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ([""], r"a\.csv: the file is empty$"),
        (["\n\n"], r"a\.csv: the file is empty$"),
        (["a,b\n"], r"a\.csv: contains no rows$"),
        (["a,b,a, b\n1,2,3,4\n"], r"a\.csv:1: more than one column is named 'a', 'b'$"),
        (
            ['a,b\n1,2\n\n"x\ny",2,3\n1,2\n1\n'],
            r"a\.csv:4: 3 cells, but there are 2 columns\n.*a\.csv:7: 1 cells, but there are 2 columns$",
        ),
        (["a,b\n" + "1,2,3\n" * 9], r"a\.csv:6: 3 cells, but there are 2 columns\n.*: 4 more such rows$"),
        ([b"a,b\n1,x\n1,\xe9\n"], r"a\.csv:3: byte 0xe9 is not utf-8; .*--encoding latin-1$"),
        ([b"a,\xe9\n1,x\n"], r"a\.csv:1: byte 0xe9 is not utf-8; .*--encoding latin-1$"),
        (['a,b\n1,"x\n2,y\n3,z\n'], r"a\.csv:2: a quote in this row is never closed$"),
        (
            ["a,b,c\n1,2,3\n", "c,d,b\n1,2,3\n"],
            r"b\.csv: lacks column 'a' of .*a\.csv\n.*b\.csv: has a column 'd', which .*a\.csv lacks$",
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
    assert f"is {option.upper()}, not utf-8; use --encoding {option}" in capfd.readouterr().err
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
    monkeypatch.setattr(from_csv, "BLOCK_BYTES", 1 << 20)
    with pytest.raises(UserError, match=r"a\.csv: a row is longer than 1 MiB; a quote may"):
        from_text(tmp_path, 'a,b\n1,"x\n' + "2,y\n" * 1_000_000)


def test_a_bad_cell_in_a_column_that_is_left_out_does_no_harm(tmp_path: Path) -> None:
    from_text(tmp_path, b"a,b\n1,\xe9\n", drop=["b"])
    assert rows_of(tmp_path / "out") == [{"a": [1]}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"columns": ["fara"]}, "--columns fara: there is no such column; did you mean 'fare'"),
        ({"drop": ["x"]}, "--drop x: there is no such column; known here: fare, tips"),
        ({"types": {"tip": CellType.FLOAT}}, "--type tip: there is no such column; did you mean 'tips'"),
        ({"drop": ["fare", "tips"]}, "there are no columns left"),
        ({"shards": 3}, "--shards 3: there are only 2 rows"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        from_text(tmp_path, "fare,tips\n1,2\n3,4\n", **options)
    assert not (tmp_path / "out").exists()
