"""Ingestion of one file: validation, splitting, writing, quarantine, and recovery from damage."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.artifacts.examples import Manifest, ShardFile
from hubline.artifacts.splits import SPLITS
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen import ingest_fast, small_files
from hubline.components.example_gen.contract import ColumnTypes
from hubline.components.example_gen.ingest_graphs import graphs_of
from hubline.components.example_gen.ingest_job import split_of
from hubline.components.example_gen.locate_bad_records import undecodable
from hubline.components.example_gen.results import Result, refuse_empty
from hubline.core import interruption
from hubline.core.digest import file_digest
from hubline.core.errors import DataError
from hubline.core.shard_cache import ShardCache
from tests.support import example_data
from tests.support.ingestion import CONTRACT, FEATURES, PNG, ingest_to, job


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["", "GZIP"])
@pytest.mark.usefixtures("in_no_python")
def test_every_record_is_in_one_split_in_its_order(tmp_path: Path, compression: str) -> None:
    records = example_data.labelled(300)
    path = example_data.write_tfrecord(tmp_path / "in", records, compression)
    _, written, _ = ingest_to(tmp_path / "out", job(path))
    assert Counter(item for items in written.values() for item in items) == Counter(records)
    assert set(written) == set(SPLITS)
    places = split_of(records, HashSplit()).numpy()
    for place, split in enumerate(SPLITS):
        assert written[split] == list(itertools.compress(records, places == place))


def test_a_record_stays_in_its_split_whatever_is_around_it(tmp_path: Path) -> None:
    records = example_data.labelled(100)
    alone = [int(split_of([item], HashSplit())[0]) for item in records]
    assert split_of(records, HashSplit()).numpy().tolist() == alone
    assert split_of(records[::-1], HashSplit()).numpy().tolist() == alone[::-1]


def test_the_hash_is_the_same_for_ever() -> None:
    # Golden values: another key, hash or order of the splits would move records between runs of different releases.
    words = [f"record {number}".encode() for number in range(12)]
    assert split_of(words, HashSplit(train=1, validation=1, test=1)).numpy().tolist() == [
        1,
        0,
        2,
        0,
        1,
        0,
        2,
        0,
        1,
        1,
        2,
        1,
    ]


@given(st.tuples(*[st.integers(1, 20)] * 3))
@settings(deadline=None, max_examples=20)
def test_shares_are_kept(shares: tuple[int, int, int]) -> None:
    split = HashSplit(train=shares[0], validation=shares[1], test=shares[2])
    words = [f"record {number}".encode() for number in range(4000)]
    got = np.bincount(split_of(words, split), minlength=3) / len(words)
    np.testing.assert_allclose(got, np.array(shares) / sum(shares), atol=0.04)


@pytest.mark.parametrize("compression", ["", "GZIP"])
@pytest.mark.usefixtures("in_no_python")
def test_a_clean_file_of_one_split_is_copied(tmp_path: Path, compression: str) -> None:
    records = example_data.labelled(20)
    path = example_data.write_tfrecord(tmp_path / "in", records, compression)
    ingested, written, _ = ingest_to(tmp_path / "out", job(path, split=None))
    assert ingested.compression == compression and written == {"train": records}
    (part,) = ingested.parts
    assert (part.split, part.count, part.largest) == ("train", 20, max(map(len, records)))
    assert part.digest == file_digest(str(path))
    path.write_bytes(b"written again, in place")
    assert part.digest == file_digest(str(tmp_path / "out/train"))


@pytest.mark.slow
def test_a_file_that_changed_since_it_was_pinned_is_refused(tmp_path: Path) -> None:
    task = job(example_data.write_tfrecord(tmp_path / "in", example_data.labelled(20)))
    example_data.write_tfrecord(tmp_path / "in", example_data.labelled(21))
    with pytest.raises(DataError, match="in: the file has changed since the run began"):
        ingest_to(tmp_path / "out", task)


def test_each_record_is_handed_on_once_however_large_a_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State of earlier records is not copied with each batch, which would take quadratic time."""
    monkeypatch.setattr(ingest_fast, "BATCH", 4)
    records = example_data.labelled(40)
    path = example_data.write_tfrecord(tmp_path / "in", records)
    graphs = graphs_of(CONTRACT, ColumnTypes(label="int64"), HashSplit(), False)
    handed: list[int] = []

    def look(batch: tf.Tensor, look=graphs._look) -> tuple[tf.Tensor, ...]:
        found = look(batch)
        handed.append(sum(int(tf.size(part)) for part in found[:1]))
        return found

    monkeypatch.setattr(graphs, "_look", look)
    places, counts, *_ = graphs.survey(str(path), "", 4)
    assert handed == [4] * 10
    assert sorted(places.numpy()) == sorted(split_of(records, HashSplit()).numpy())
    assert counts.numpy().tolist() == np.bincount(places, minlength=4).tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("records", "says"),
    [
        (example_data.labelled(2) * 3, "only 2 of the 6 records are distinct, and equal ones go to the same split"),
        (example_data.labelled(2), "give more data or other shares in data.split"),
    ],
)
def test_a_split_that_is_empty_says_whether_records_repeat_themselves(tmp_path: Path, records, says: str) -> None:
    task = job(example_data.write_tfrecord(tmp_path / "in", records))
    ingested, *_ = ingest_to(tmp_path / "out", task)
    shards = tuple(ShardFile(name="data", **part.model_dump()) for part in ingested.parts)
    manifest = Manifest(shards=shards, images=())
    assert min(manifest.counts.values()) == 0
    with pytest.raises(DataError, match=r"the split '\w+' is empty \(.*\): " + says):
        refuse_empty(manifest, task.split, [Result("all", "0", str(tmp_path / "out"), ingested)])


@pytest.mark.parametrize("policy", ["fail", "quarantine"])
def test_a_zlib_file_is_named_with_what_to_do(tmp_path: Path, policy: str) -> None:
    path = example_data.write_tfrecord(tmp_path / "in", example_data.labelled(5), "ZLIB")
    with pytest.raises(DataError, match=r"in: its records are compressed with ZLIB.*rewrite them with GZIP.*'GZIP'"):
        ingest_to(tmp_path / "out", job(path, policy=policy))


def test_a_plain_file_that_begins_like_zlib_is_plain(tmp_path: Path) -> None:
    record = example_data.record(image=PNG, label="dark", more=bytes(0x9C78))
    length = 0x9C78
    record = example_data.record(image=PNG, label="dark", more=bytes(length - (len(record) - length)))
    path = example_data.write_tfrecord(tmp_path / "in", [record])
    assert path.read_bytes()[:2] == b"\x78\x9c"
    _, written, _ = ingest_to(tmp_path / "out", job(path, split=None))
    assert written["train"] == [record]


def test_what_is_no_tfrecord_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("comma,separated\n" * 50)
    with pytest.raises(DataError, match=r"record 0 .* or is no TFRecord file"):
        ingest_to(tmp_path / "out", job(tmp_path / "in"))


@pytest.mark.slow
def test_an_image_that_does_not_decode_is_found_in_its_file(tmp_path: Path) -> None:
    records = example_data.labelled(12)
    fine = example_data.write_tfrecord(tmp_path / "fine", records)
    records[7] = example_data.record(image=PNG[:60], label=0)
    bad = example_data.write_tfrecord(tmp_path / "bad", records, "GZIP")

    (found,) = undecodable(str(bad), FEATURES)
    assert str(found).startswith(f"{bad}: record 7 (counted from 0): its image 'image' does not decode")
    assert list(undecodable(str(fine), FEATURES)) == []


@pytest.mark.parametrize("way", ["clean", "damaged", "together"])
def test_a_file_is_left_between_two_batches_when_the_process_is_asked_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(ingest_fast, "BATCH", 64)
    records = [example_data.record(image=PNG, label="dark", x=number) for number in range(256)]
    paths = [
        example_data.write_tfrecord(tmp_path / name, records) for name in (("a", "b") if way == "together" else "a")
    ]
    if way == "damaged":
        paths[0].write_bytes(paths[0].read_bytes()[:-3])
    jobs = [job(path, policy="quarantine") for path in paths]
    cache, checks = ShardCache(str(tmp_path / "store")), []

    def run(last: int) -> None:
        checks.clear()

        def check() -> None:
            checks.append(last)
            if len(checks) > last:
                raise interruption.Interrupted("SIGINT")

        monkeypatch.setattr(interruption, "check", check)
        with cache.making(f"after {last}") as folder:
            small_files.ingest_group(jobs, folder)

    run(10**6)
    count = len(checks)
    assert count >= 8, "before each batch that is read, and each that is written"
    assert cache.find(f"after {10**6}")
    for last in (0, 1, count // 2, count - 1):
        with pytest.raises(interruption.Interrupted):
            run(last)
        assert len(checks) < last + 8, "nothing else is begun"
        assert cache.find(f"after {last}") is None
        assert not list((tmp_path / "store" / f"after {last}").glob("*")), "nothing half-written"
