"""`data.where` and `data.take`: conditions, the records that they leave out, and how many."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.artifacts.examples import LeftOut
from hubline.artifacts.splits import SPLITS
from hubline.components.config.selection import ShareOfRecords
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.ingest_job import Job, split_of
from hubline.components.example_gen.selector import BUCKETS, hashes
from hubline.components.example_gen.small_files import ingest_group
from hubline.components.example_gen.take import bound_of_count, bound_of_share, smallest_hashes
from hubline.core.errors import DataError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from hubline.preprocessing.exact_arithmetic import NumberColumn
from hubline.preprocessing.expression import columns_of_condition, holds
from tests.support import example_data
from tests.support.ingestion import ingest_to, job

NUMBERS, TEXTS = {"a": 3, "b": 1.5, "c d": 0}, {"town": "ulm", "quoted one": "it's"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("a > 2", True),
        ("0 < b < a", True),
        ("0 < a < b", False),
        ("a > 2 and b > 2", False),
        ("a > 2 or b > 2", True),
        ("not a > 2 or town == 'ulm'", True),
        ("not (a > 2 or b > 2)", False),
        ("town != 'ulm' or \"c d\" == 0", True),
        ("'it\\'s' == \"quoted one\"", True),
        ("a - 2 * b == 0 and not town == 'bonn' and a != b", True),
    ],
)
def test_a_condition_holds_as_in_python(condition: str, expected: bool) -> None:
    assert holds(condition, NUMBERS.__getitem__, TEXTS.__getitem__) is expected
    numbers = {name: NumberColumn.of(tf.constant([value])) for name, value in NUMBERS.items()}
    texts = {name: tf.constant([value]) for name, value in TEXTS.items()}
    assert holds(condition, numbers.__getitem__, texts.__getitem__).numpy().tolist() == [expected]
    known = columns_of_condition(condition)
    assert known == {name: str if name in TEXTS else float for name in known}


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("a", "has a part that is no comparison"),
        ("a > 1 and b", "has a part that is no comparison (at character 11"),
        ("a > 1 and", "is not a condition such as fare > 0 and company"),
        ("town < 'ulm'", "write a column == or != a text in single quotes"),
        ("'ulm' == 'ulm'", "compares a text with something else"),
        ("town == 'ulm' and town > 2", "compares 'town' with a number and with a text"),
        ("town in ['ulm']", "has an unsupported operator"),
        ("a / 0 > 1", "divides by zero"),
        ("1 < 2", "names no column"),
    ],
)
def test_what_is_no_condition_says_why(tmp_path: Path, condition: str, says: str) -> None:
    with pytest.raises(PipelineFileError) as caught:
        load(write(tmp_path, f"where: {json_text(condition)}"))
    (found,) = caught.value.diagnostics
    assert (found.key, found.line) == ("data.where", 2) and says in found.message


def json_text(text: str) -> str:
    """In YAML's double quotes, where a backslash and a double quote have one before them."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def write(folder: Path, more: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(
        f"name: tiny\ndata: {{examples: data, {more}}}\nfeatures: {{x: {{kind: numeric}}}}\n"
        "label: {kind: binary, from: y}\ntraining: {epochs: 1}\nserving: {destination: serving}\n"
    )
    return path


@pytest.mark.parametrize(
    ("take", "says"),
    [("0", "greater than or equal to 1"), ("{share: 1.5}", "less than 1"), ("{records: 2, share: 0.5}", "take")],
)
def test_what_cannot_be_taken_has_its_line(tmp_path: Path, take: str, says: str) -> None:
    with pytest.raises(PipelineFileError) as caught:
        load(write(tmp_path, f"take: {take}"))
    assert all(each.key.startswith("data.take") and each.line == 2 for each in caught.value.diagnostics)
    assert says in str(caught.value)


def test_a_column_that_the_first_records_lack_is_found_before_a_run(tmp_path: Path) -> None:
    # The first records are left out, and have no label.
    records = [example_data.record(x=1.0, **({"year": 2000, "y": 1} if n > 2 else {})) for n in range(5)]
    example_data.write_tfrecord(tmp_path / "data" / "a", records, "GZIP")
    check(write(tmp_path, "where: year > 1999"))
    with pytest.raises(PipelineFileError) as caught:
        check(write(tmp_path, "where: yaer > 1999"))
    (found,) = caught.value.diagnostics
    assert (found.key, found.line) == ("data.where", 2)
    assert "no record has a column 'yaer'; did you mean 'year'?" in found.message


TOWNS = ("ulm", "bonn", "ham")
CONTRACT = Contract(images=(), numbers=("y",))


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """A third has no year, and some have two. Only records from 2000 on have a label."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        year = int(rng.integers(1990, 2010))
        row: dict[str, Any] = {"x": float(rng.normal()), "town": TOWNS[number % 3], "number": number}
        if number % 3:
            row["year"] = [year, year] if number % 10 == 1 else [year]
        if year >= 2000 or number % 3 == 0 or number % 10 == 1:
            row["y"] = number % 2
        found.append(row)
    return found


def record(row: dict[str, Any]) -> bytes:
    return example_data.record(
        **{name: example_data.feature(*(value if isinstance(value, list) else [value])) for name, value in row.items()}
    )


def kept(row: dict[str, Any]) -> bool:
    return len(row.get("year", [])) == 1 and row["year"][0] >= 2000 and row["town"] != "ham"


WHERE = "year >= 2000 and town != 'ham'"


def task(path: Path, split: HashSplit | None, **selection: Any) -> Job:
    return job(path, split).model_copy(update={"contract": CONTRACT, "where": WHERE, **selection})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("split", "how"),
    [
        (None, "plain"),
        (None, "other types"),
        (HashSplit(), "GZIP"),
        (HashSplit(), "damaged"),
        (HashSplit(), "sequences"),
    ],
    ids=str,
)
def test_where_keeps_what_python_keeps(tmp_path: Path, split: HashSplit | None, how: str) -> None:
    table = rows(300)
    records = list(map(record, table))
    if how == "sequences":
        records[::2] = map(example_data.sequence, records[::2])
    if how == "other types":  # read record by record
        table[5] |= {"year": [1995.5]}
        table[7] |= {"year": [2005.5], "y": 1}
        records[5], records[7] = record(table[5]), record(table[7])
    path = example_data.write_tfrecord(tmp_path / "in", records, "GZIP" if how == "GZIP" else "")
    places = split_of(records, split).numpy().tolist() if split else [0] * 300
    if how == "damaged":
        path.write_bytes(path.read_bytes() + b"cut")
    one = task(path, split)
    ingested, written, listed = ingest_to(
        tmp_path / "out", one.model_copy(update={"policy": "quarantine" if how == "damaged" else "fail"})
    )
    assert len(listed) == (how == "damaged")
    for place, part in enumerate(ingested.parts):
        of_split = [row for row, at in zip(table, places, strict=True) if at == place]
        numbers = [example_number(item) for item in written[part.split]]
        assert numbers == [row["number"] for row in of_split if kept(row)]
        no_value = sum(len(row.get("year", [])) != 1 for row in of_split)
        where = len(of_split) - no_value - len(numbers)
        assert part.left_out == LeftOut(where=where, no_value=no_value)
    assert not ingested.unseen


def example_number(serialized: bytes) -> int:
    return tf.train.Example.FromString(serialized).features.feature["number"].int64_list.value[0]


@pytest.mark.slow
def test_where_may_leave_nothing_of_a_file(tmp_path: Path) -> None:
    old = [record({"x": 1.0, "town": "ulm", "year": [1990], "number": n}) for n in range(20)]  # without a label
    path = example_data.write_tfrecord(tmp_path / "in", old)
    ingested, written, _ = ingest_to(tmp_path / "out", task(path, HashSplit()))
    assert not any(written.values()) and ingested.kind is None and not ingested.unseen
    assert sum(part.left_out.where for part in ingested.parts) == 20
    no_year = [record({"x": 1.0, "town": "ulm", "number": n}) for n in range(20)]
    path = example_data.write_tfrecord(tmp_path / "other", no_year)
    ingested, *_ = ingest_to(tmp_path / "out2", task(path, None))
    assert ingested.unseen == ("year",) and ingested.parts[0].left_out == LeftOut(no_value=20)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"town": 3, "year": 2001}, "'town' that data.where names holds numbers"),
        ({"town": "ulm", "year": "new"}, "texts"),
    ],
)
def test_a_column_of_another_type_is_named(tmp_path: Path, columns: dict[str, Any], says: str) -> None:
    path = example_data.write_tfrecord(tmp_path / "in", [example_data.record(y=1, **columns)])
    with pytest.raises(DataError, match=f"{path}: the column .*{says}"):
        ingest_to(tmp_path / "out", task(path, None))


@pytest.mark.slow
def test_small_files_count_what_each_lost(tmp_path: Path) -> None:
    tables = [rows(40, seed) for seed in range(3)]
    jobs = [
        task(example_data.write_tfrecord(tmp_path / f"in{n}", map(record, table)), HashSplit())
        for n, table in enumerate(tables)
    ]
    (ingested,) = ingest_group(jobs, str(tmp_path)).values()
    expected = [sum(map(kept, table)) for table in tables]
    assert [sum(part.origins[n].count for part in ingested.parts) for n in range(3)] == expected
    assert sum(part.left_out.total for part in ingested.parts) == 120 - sum(expected)


def taken(path: Path, below: int | None, folder: Path) -> list[bytes]:
    one = task(path, HashSplit(), where=None, below=below, contract=Contract(images=()))
    ingested, written, _ = ingest_to(folder, one)
    total = sum(part.left_out.take + part.count for part in ingested.parts)
    assert total == len(example_data.read_tfrecord(path))
    return list(itertools.chain.from_iterable(written[name] for name in SPLITS))


@pytest.mark.slow
def test_a_share_is_taken_of_every_split_and_larger_shares_hold_smaller_ones(tmp_path: Path) -> None:
    records = [example_data.record(number=n) for n in range(5000)]
    path = example_data.write_tfrecord(tmp_path / "in", records)
    some, more = (
        taken(path, bound_of_share(ShareOfRecords(share=share)), tmp_path / str(share)) for share in (0.1, 0.3)
    )
    # Five standard deviations of binomial distributions.
    assert abs(len(some) - 500) < 106 and abs(len(more) - 1500) < 162 and set(some) < set(more)
    places = split_of(some, HashSplit()).numpy()
    assert abs((places == 0).mean() - 0.8) < 0.1
    shuffled = example_data.write_tfrecord(tmp_path / "shuffled", reversed(records))
    again = taken(shuffled, bound_of_share(ShareOfRecords(share=0.1)), tmp_path / "again")
    assert sorted(again) == sorted(some)


@pytest.mark.slow
@settings(deadline=None, max_examples=100, derandomize=True)
@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 30), st.integers(1, 4))
def test_a_count_takes_the_smallest_hashes_and_equal_ones_together(numbers: list[int], count: int, parts: int) -> None:
    found = [np.sort(np.array(numbers[n::parts], np.int64))[: count + 1] for n in range(parts)]
    bound = bound_of_count(found, count)
    below = [number for number in numbers if bound is None or number < bound]
    assert len(below) <= count
    rest = sorted(set(numbers) - set(below))
    assert bound is None or (rest[0] == bound and len(below) + numbers.count(bound) > count)
    assert bound is not None or len(numbers) <= count


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [False, True])
def test_the_smallest_hashes_of_files_are_those_of_the_records_that_where_keeps(tmp_path: Path, damaged: bool) -> None:
    tables = [rows(200, seed) for seed in range(2)]
    paths = [example_data.write_tfrecord(tmp_path / str(n), map(record, table)) for n, table in enumerate(tables)]
    if damaged:
        paths[1].write_bytes(paths[1].read_bytes() + b"cut")
    eligible: Sequence[bytes] = [record(row) for table in tables for row in table if kept(row)]
    expected = np.sort(hashes(tf.constant(eligible)).numpy())
    assert expected[0] >= 0 and expected[-1] < BUCKETS
    found = smallest_hashes([task(path, None) for path in paths], 30)
    np.testing.assert_array_equal(np.sort(found), expected[:30])
    np.testing.assert_array_equal(np.sort(smallest_hashes([task(path, None) for path in paths], 1000)), expected)
