"""`data.split.stratify`: each class is split in exact sizes, whatever the files."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from hubline.artifacts.splits import SPLITS
from hubline.components.config.data import Data
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.strata import refuse_too_much, sizes
from hubline.core.errors import DataError
from tests.support import example_data
from tests.support.executors import ingest, read_split
from tests.support.ingestion import columns_in
from tests.support.siphash import siphash

KEY = 0x51A7_1F1E, 0x0D5E_C0DE
"""The key of the hash that ranks the records of a class, fixed for ever."""
CONTRACT = Contract(images=(), label="kind", stratify="kind")
CLASSES = {"common": 300, "rare": 20, "three": 3, "two": 2, "one": 1}
KINDS = [name for name, count in CLASSES.items() for _ in range(count)]
RECORDS = [example_data.record(kind=name, number=number) for number, name in enumerate(KINDS)]


def step(folder: Path, data: str, store: Path, contract: Contract = CONTRACT, **rest: Any):
    split = {"train": 6, "validation": 2, "test": 2, "stratify": "kind"}
    return ingest(
        folder, Data.model_validate({"examples": data, "split": split, **rest}), contract=contract, store=store
    )


def expected(records: Sequence[bytes]) -> dict[str, set[bytes]]:
    """The records of each split: those of each class in the order of their hashes, the rounded shares for validation
    and test from the end."""
    found: dict[str, set[bytes]] = {name: set() for name in SPLITS}
    for kind in {columns_in(record)["kind"][0] for record in records}:
        of_kind = {record for record in records if columns_in(record)["kind"][0] == kind}
        ranked = sorted(of_kind, key=lambda record: siphash(record, KEY) % 2**62)
        test = max(round(0.2 * len(ranked)), 1) if len(ranked) > 1 else 0
        validation = max(round(0.2 * len(ranked)), 1) if len(ranked) > 2 else 0
        cuts = np.cumsum([len(ranked) - validation - test, validation])
        for name, part in zip(SPLITS, np.split(np.array(ranked, object), cuts), strict=True):
            found[name].update(part)
    return found


def splits(examples) -> dict[str, list[bytes]]:
    return {name: read_split(examples, name) for name in SPLITS}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strata") / "data"
    for number in range(3):  # sorted by class, as data often is
        example_data.write_tfrecord(folder / f"part-{number}", RECORDS[number * 120 : (number + 1) * 120])
    return folder


@pytest.mark.both_stacks
def test_each_class_is_split_in_exact_sizes_from_all_files(tmp_path: Path, data: Path) -> None:
    written = splits(step(tmp_path / "one", str(data), tmp_path / "store"))
    assert {name: set(records) for name, records in written.items()} == expected(RECORDS)
    counts = {name: Counter(columns_in(each)["kind"][0].decode() for each in written[name]) for name in SPLITS}
    assert counts["train"] == {"common": 180, "rare": 12, "three": 1, "two": 1, "one": 1}
    assert counts["validation"] == {"common": 60, "rare": 4, "three": 1}
    assert counts["test"] == {"common": 60, "rare": 4, "three": 1, "two": 1}
    order = {record: number for number, record in enumerate(RECORDS)}
    assert all(records == sorted(records, key=order.__getitem__) for records in written.values())
    # One file in another order, with equal records and a damaged end: read record by record.
    path = example_data.write_tfrecord(tmp_path / "other" / "all", [*RECORDS[::-1], *RECORDS[:50]])
    path.write_bytes(path.read_bytes() + b"cut")
    other = splits(step(tmp_path / "two", str(path), tmp_path / "store", bad_records={"policy": "quarantine"}))
    assert {name: set(records) for name, records in other.items()} == expected(RECORDS)
    assert sum(map(len, other.values())) == len(RECORDS) + 50


def test_a_column_of_different_values_is_told_as_what_empties_a_split(tmp_path: Path) -> None:
    records = [example_data.record(kind=f"k{number}") for number in range(9)]
    path = example_data.write_tfrecord(tmp_path / "data" / "a", records)
    with pytest.raises(DataError, match=r"the split 'validation' is empty .*'kind' of data.split.stratify"):
        step(tmp_path / "one", str(path), tmp_path / "store")


def test_spans_are_refused_with_what_to_do_instead(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"stratify is for data without spans: a new span would move records of"):
        step(tmp_path, f"{tmp_path}/data/{{SPAN}}/*", tmp_path / "store")


def test_bad_records_have_no_part_in_the_sizes(tmp_path: Path) -> None:
    good = RECORDS[290:320]  # of two classes
    bad = [example_data.record(kind="rare", other=number) for number in range(30)]
    both = [record for pair in zip(good, bad, strict=True) for record in pair]
    path = example_data.write_tfrecord(tmp_path / "data" / "a", both)
    contract = CONTRACT.model_copy(update={"label": "number", "stratify": "kind"})
    quarantine = {"policy": "quarantine", "max_fraction": 0.6}
    written = splits(step(tmp_path / "one", str(path), tmp_path / "store", contract, bad_records=quarantine))
    assert {name: set(found) for name, found in written.items()} == expected(good)


def test_what_is_left_out_has_no_part_in_the_sizes(tmp_path: Path, data: Path) -> None:
    contract = CONTRACT.model_copy(update={"label": "number", "stratify": "kind"})
    written = splits(step(tmp_path, str(data), tmp_path / "store", contract, where="number < 200"))
    assert {name: set(records) for name, records in written.items()} == expected(RECORDS[:200])


def test_integers_are_classes_and_a_record_without_a_class_is_bad(tmp_path: Path) -> None:
    records = [example_data.record(kind=n % 2, number=n) for n in range(40)] + [example_data.record(number=40)]
    path = example_data.write_tfrecord(tmp_path / "data" / "a", records)
    contract = CONTRACT.model_copy(update={"label": "number"})
    with pytest.raises(DataError, match=r"record 40 .counted from 0.: it has no class to stratify by 'kind'"):
        step(tmp_path / "one", str(path), tmp_path / "store", contract)
    quarantine = {"policy": "quarantine", "max_fraction": 0.1}
    written = splits(step(tmp_path / "two", str(path), tmp_path / "store", contract, bad_records=quarantine))
    assert {name: set(found) for name, found in written.items()} == expected(records[:40])


@pytest.mark.parametrize(
    ("count", "shares", "expected"),
    [
        (0, (8, 1, 1), (0, 0, 0)),
        (1, (8, 1, 1), (1, 0, 0)),
        (2, (8, 1, 1), (1, 0, 1)),
        (3, (8, 1, 1), (1, 1, 1)),
        (3, (1, 9, 9), (1, 1, 1)),
        (10, (8, 1, 1), (8, 1, 1)),
        (19, (8, 1, 1), (15, 2, 2)),
        (10, (1, 10, 10), (1, 4, 5)),
        (1000, (7, 1, 2), (700, 100, 200)),
    ],
)
def test_sizes(count: int, shares: tuple[int, int, int], expected: tuple[int, int, int]) -> None:
    assert sizes(count, HashSplit(train=shares[0], validation=shares[1], test=shares[2])) == expected


def test_too_many_classes_are_refused() -> None:
    with pytest.raises(DataError, match="the column 'user' has 1,001 values; it is for columns of up to 1,000"):
        refuse_too_much([{b"%d" % number: np.zeros(1, np.int64)} for number in range(1001)], "user")
    with pytest.raises(DataError, match="up to 10,000,000 records, and there are 10,000,002"):
        refuse_too_much([{b"a": np.zeros(5_000_001, np.int8)}] * 2, "user")
