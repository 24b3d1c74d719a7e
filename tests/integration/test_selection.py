"""ExampleGen with `data.where` and `data.take`: whole steps over several files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.examples import LeftOut, Manifest
from hubline.artifacts.splits import SPLITS
from hubline.components.config.data import Data
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.ingest_job import split_of
from hubline.components.example_gen.selector import hashes
from hubline.core.errors import DataError
from hubline.core.shard_cache import ShardCache
from tests.support import example_data
from tests.support.executors import ingest, read_split

CONTRACT = Contract(images=(), numbers=("y",))
RECORDS = [example_data.record(number=n, y=n % 2, year=2000 + n % 7) for n in range(700)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for n, size in enumerate((300, 250, 150)):
        start = (0, 300, 550)[n]
        example_data.write_tfrecord(folder / f"part-{n}", RECORDS[start : start + size])
    return folder


def step(folder: Path, data: Path, **selection: Any):
    store = data.with_name(f"{data.name}-store")
    return ingest(folder, Data.model_validate({"examples": str(data), **selection}), contract=CONTRACT, store=store)


def all_of(examples) -> list[bytes]:
    return [record for split in SPLITS for record in read_split(examples, split)]


@pytest.mark.both_stacks
def test_a_number_of_records_is_taken_from_all_files_by_their_hashes(tmp_path: Path, data: Path) -> None:
    eligible = [record for n, record in enumerate(RECORDS) if n % 7 >= 3]
    numbers = hashes(tf.constant(eligible)).numpy()
    expected = [eligible[place] for place in np.argsort(numbers)[:100]]
    examples = step(tmp_path / "one", data, where="year >= 2003", take=100)
    assert sorted(all_of(examples)) == sorted(expected)
    lost = Manifest.read(examples.uri).left_out
    assert sum(lost.values(), LeftOut()) == LeftOut(where=300, take=300)
    places = split_of(RECORDS, Data(examples="x").split).numpy()  # type: ignore[arg-type] - split by hash
    counts = Manifest.read(examples.uri).counts
    assert [lost[name].total + counts[name] for name in SPLITS] == np.bincount(places).tolist()
    # The same records come from one file in another order.
    example_data.write_tfrecord(tmp_path / "other" / "all", reversed(RECORDS))
    other = step(tmp_path / "two", tmp_path / "other", where="year >= 2003", take=100)
    assert sorted(all_of(other)) == sorted(expected)
    assert len(all_of(step(tmp_path / "three", data, where="year >= 2003", take=5000))) == 400


def test_another_condition_reads_the_files_again_and_the_same_one_does_not(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    making = ShardCache.making
    monkeypatch.setattr(ShardCache, "making", lambda self, key: (made.append(key), making(self, key))[1])
    assert len(all_of(step(tmp_path / "a", data, where="year == 2001"))) == 100
    assert len(made) == 3
    step(tmp_path / "b", data, where="year == 2001")
    assert len(made) == 3
    assert len(all_of(step(tmp_path / "c", data, where="year != 2001"))) == 600
    assert len(made) == 6


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        ({"where": "year > 3000"}, "data.where leaves nothing: none of 700 records meets year > 3000"),
        ({"where": "yaer > 3000"}, "data.where: no record has a column 'yaer'; did you mean 'year'"),
        ({"where": "year == 2002 and number < 3"}, "is empty .*: data.where and data.take left out"),
        ({"where": "year == '2002'"}, "the column 'year' that data.where names holds numbers"),
    ],
)
def test_what_leaves_nothing_says_so(tmp_path: Path, data: Path, selection: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        step(tmp_path, data, **selection)
