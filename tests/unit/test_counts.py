"""A split with missing records stops whatever reads it, with both counts in the message."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.embedded_rows import EmbeddedRows, RowFile
from hubline.artifacts.examples import Manifest, Origin, ShardFile
from hubline.components.evaluator.test_split import TestSplit
from hubline.components.spread.stage import Stage
from hubline.components.statistics_gen import shard as statistics
from hubline.core.errors import DamageError
from hubline.core.shard_cache import ShardCache
from hubline.core.shard_dataset import read_records
from hubline.trainer.counts import complete, holding
from tests.support import example_data
from tests.support.analysis import ANALYSIS, shards
from tests.support.stages import keep

RECORDS = [example_data.record(number=number, label=number % 2) for number in range(10)]


@dataclass
class Split:
    records: list[str]
    rows: list[str]
    count: int
    undecodable: list[int] = field(default_factory=list)


def cut(path: Path, records: int) -> str:
    """Removes the last records of a file, without truncating any."""
    content = example_data.read_tfrecord(path)
    return str(example_data.write_tfrecord(path, content[: len(content) - records]))


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(example_data.write_tfrecord(tmp_path / "records", RECORDS))


def test_a_whole_split_is_read_and_one_that_lost_records_is_named(file: str) -> None:
    split = Split([file], [file], 10)
    with holding({"train": split}):
        assert len(list(complete(read_records([file]), 10))) == 10
    cut(Path(file), 1)
    says = "the records of the split 'train': 10 records were written, but it contains 9"
    with pytest.raises(DamageError, match=says), holding({"train": split}):
        list(complete(read_records([file]), 10))


def test_a_file_that_is_cut_in_a_record_is_named(file: str) -> None:
    Path(file).write_bytes(Path(file).read_bytes()[:-3])
    says = "records: the file is damaged: truncated record"
    with pytest.raises(DamageError, match=says), holding({"train": Split([file], [file], 10)}):
        list(complete(read_records([file]), 10))


def test_any_other_error_is_raised_as_it_is(file: str) -> None:
    with pytest.raises(tf.errors.FailedPreconditionError), holding({"train": Split([file], [file], 10)}):
        raise tf.errors.FailedPreconditionError(None, None, "something else")


@pytest.mark.parametrize("records", [1, 10])
def test_statistics_of_a_shard_that_lost_records_are_not_kept(tmp_path: Path, file: str, records: int) -> None:
    store = str(tmp_path / "store")
    shard = statistics.Shard(file, (4, 6), "key")
    stage = Stage("statistics", "examples", [shard], statistics.Description(opaque=()), store, weight=1.0)
    cut(Path(file), records)
    with pytest.raises(DamageError, match=f"records: 10 records were written, but it contains {10 - records}"):
        stage.do(shard, lambda more: None)
    assert stage.missing() == [shard]
    example_data.write_tfrecord(Path(file), RECORDS)
    stage.do(shard, lambda more: None)
    assert len(statistics.facts_of(store, shard)) == 2


@pytest.mark.slow
def test_statistics_are_of_the_file_that_is_named_and_the_same_every_time(tmp_path: Path) -> None:
    """Names are not patterns, and a sketch's values depend on the order of the records."""
    numbers = np.random.default_rng(0).normal(size=3000)
    made = []
    for folder, shift in (("axb1 {x}", 1000.0), ("a*b? {x}", 0.0)):
        (tmp_path / folder).mkdir()
        records = [example_data.record(x=float(number + shift)) for number in numbers]
        path = example_data.write_tfrecord(tmp_path / folder / "data", records)
        for life in ("first", "second"):
            shard, store = statistics.Shard(str(path), (3000,), "key"), str(tmp_path / folder / life)
            keep(statistics.Description(opaque=()), shard, store)
            made.append(statistics.merged(store, [shard]))
    _, _, first, second = made
    assert first == second
    (column,) = first.datasets[0].features
    assert column.num_stats.common_stats.num_non_missing == 3000
    assert column.num_stats.mean == pytest.approx(numbers.mean(), abs=1e-5)
    assert column.num_stats.median == pytest.approx(np.median(numbers), abs=0.05)


@pytest.mark.slow
def test_answers_of_a_shard_that_lost_records_are_not_kept(tmp_path: Path) -> None:
    records = [example_data.record(x=1.0, word=b"a", y=number % 2) for number in range(10)]
    (shard,) = shards(tmp_path, records, 1)
    cut(Path(shard.name), 2)
    with pytest.raises(DamageError, match="10 records were written, but it contains 8"):
        keep(ANALYSIS, shard, str(tmp_path / "store"))
    assert ShardCache(str(tmp_path / "store")).find(shard.key) is None


@pytest.mark.parametrize("lost", ["records", "rows"])
def test_the_test_split_is_read_to_its_end(tmp_path: Path, lost: str) -> None:
    files = {name: example_data.write_tfrecord(tmp_path / name, RECORDS) for name in ("records", "rows")}
    cut(files[lost], 3)
    split = TestSplit([str(files["records"])], [str(files["rows"])], 10, [], None, 100, has_images=False)
    says = f"the {lost} of the split 'test': 10 records were written, but it contains 7"
    with pytest.raises(DamageError, match=says), holding({"test": split}):
        list(split.batches(rows_only=False))


@pytest.mark.parametrize(("count", "undecodable"), [(9, ()), (10, (1,)), (8, (2,))])
def test_rows_and_records_that_do_not_decode_are_all_records(count: int, undecodable: tuple[int, ...]) -> None:
    shard = ShardFile(split="train", name="data", origins=(Origin(file="a", count=10),), largest=1, digest="")
    manifest = Manifest(shards=(shard,), images=())
    right = RowFile(split="train", name="data", records=10, count=9, undecodable=(4,))
    rows = EmbeddedRows(files=(right,), sizes={}, recipe="", embedded=(), views=1)
    rows.check_against(manifest)
    wrong = right.model_copy(update={"count": count, "undecodable": undecodable})
    says = f"the split 'train'.*10 records were written, but it contains {count + len(undecodable)}"
    with pytest.raises(DamageError, match=says):
        rows.model_copy(update={"files": (wrong,)}).check_against(manifest)
