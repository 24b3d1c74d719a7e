"""Converts Parquet tables to records, compared with pandas and pyarrow."""

from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from rich.console import Console

from hubline.core.errors import UserError
from hubline.pipeline.convert import source
from hubline.pipeline.convert.convert import Options, convert
from hubline.pipeline.convert.from_csv import CsvFile, Dialect
from hubline.pipeline.convert.from_parquet import ParquetFile
from hubline.pipeline.convert.kinds import CellType
from tests.support.conversion import expected, from_tables, rows_of, types_of


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_parquet_lists_of_very_different_lengths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hubline.pipeline.convert.encode.PADDED", 100)
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
        (CellType.FLOAT, pa.array([1, None, 3]), [[1.0], None, [3.0]]),
        (CellType.INTEGER, pa.array([1.0, None, 2.0**40]), [[1], None, [2**40]]),
        (CellType.INTEGER, pa.array(["1", None, " 3 "]), [[1], None, [3]]),
        (CellType.BYTES, pa.array([1, None, 3]), [[b"1"], None, [b"3"]]),
        (CellType.TIMESTAMP, pa.array(["1970-01-02", None, ""]).dictionary_encode(), [[86400], None, None]),
        (CellType.BOOLEAN, pa.array([1, None, 0]), [[1], None, [0]]),
    ],
)
def test_a_parquet_column_can_be_read_as_another_type(
    tmp_path: Path, kind: CellType, array: pa.Array, values: list
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
            r"column 's' is struct<a: int64>, which a tf.Example cannot contain; use --drop s\n.*column 'm' is list",
        ),
        ({"u": pa.array([2**63], pa.uint64())}, {}, r"a\.parquet: column 'u': Integer value 9223372036854775808"),
        (
            {"x": pa.array([[1], [2, None]])},
            {},
            r"a\.parquet: row 1 \(counted from 0\): column 'x': the list contains a null",
        ),
        (
            {"x": pa.array([1, 2.5])},
            {"x": CellType.INTEGER},
            r"row 1 \(counted from 0\): column 'x': '2.5' is not an int",
        ),
        ({"x": pa.array([[1]])}, {"x": CellType.FLOAT}, r"column 'x' is list.*; remove its --type"),
        ({"x": pa.array([b"\xff"])}, {"x": CellType.FLOAT}, r"a\.parquet: column 'x': Invalid UTF8"),
        ({"x": pa.array([], pa.int64())}, {}, "a.parquet: contains no rows"),
    ],
)
def test_parquet_columns_that_cannot_be_converted_are_named(
    tmp_path: Path, columns: dict[str, pa.Array], types: dict[str, CellType], said: str
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
    from_tables(tmp_path, *tables, types={"x": CellType.BYTES})
    assert rows_of(tmp_path / "out") == [{"x": [b"1"]}, {"x": [b"a"]}]


def test_a_struct_that_is_left_out_does_no_harm(tmp_path: Path) -> None:
    from_tables(tmp_path, pa.table({"s": [{"a": 1}], "a.b": [2]}), drop=["s"])
    assert rows_of(tmp_path / "out") == [{"a.b": [2]}]


def test_what_is_no_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"a\.parquet: cannot be read as a Parquet file: "):
        ParquetFile(str(tmp_path / "a.parquet"), {})


def is_whole(column: pd.Series) -> bool:
    return column.dtype == float and bool((column.dropna() % 1 == 0).all())


@pytest.mark.parametrize("name", ["california_housing/housing.csv", "chicago_taxi/data.csv"])
@pytest.mark.slow
def test_real_data_are_what_pandas_and_pyarrow_read(shared_data: Path, tmp_path: Path, name: str) -> None:
    path = shared_data / name
    done = convert([CsvFile(str(path), Dialect())], Options(output=tmp_path / "csv"), Console(quiet=True))
    found = rows_of(tmp_path / "csv")
    frame = pd.read_csv(path)
    table = pa.csv.read_csv(
        path, pa.csv.ReadOptions(block_size=1 << 30), convert_options=pa.csv.ConvertOptions(strings_can_be_null=True)
    )
    kinds = {pa.int64(): "int64", pa.float64(): "float", pa.string(): "bytes"}
    # Whole numbers with gaps, as pandas writes integers, are integers.
    whole = {name for name in frame if frame[name].isna().any() and is_whole(frame[name])}
    types = {field.name: "int64" if field.name in whole else kinds[field.type] for field in table.schema}
    assert types_of(done) == types
    assert len(found) == done.rows == len(frame)
    for column in done.columns:
        series = frame[column.name].astype("Int64") if column.type == "int64" else frame[column.name]
        assert column.missing == series.isna().sum()
        values = [None if pd.isna(value) else expected({"x": value})["x"] for value in series]
        assert [row.get(column.name) for row in found] == values
    # Parquet gives the same bytes, if the columns have the same types.
    kept = pa.schema([(field.name, pa.int64() if field.name in whole else field.type) for field in table.schema])
    from_tables(tmp_path, table.cast(kept))
    (from_csv_file,), (from_parquet_file,) = (tmp_path / "csv").iterdir(), (tmp_path / "out").iterdir()
    assert from_parquet_file.read_bytes() == from_csv_file.read_bytes()
