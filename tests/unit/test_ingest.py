"""Ingestion of one file: what is held to, split and written."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from components.config import SPLITS, HashSplit
from components.example_gen.blame import undecodable
from components.example_gen.contract import Checker, Contract, find_fault
from components.example_gen.ingest import Shard, ingest, split_of
from components.example_gen.manifest import Manifest
from preprocessing.errors import DataError
from tests import make

CONTRACT = Contract(images=("image",), label="label", classes=("dark", "light"))
PNG = make.random_image(0)


def shard(path: Path, out: Path, split: HashSplit | None = HashSplit()) -> Shard:  # noqa: B008 - frozen
    targets = {name: str(out / name) for name in (SPLITS if split else ("train",))}
    return Shard(path=str(path), targets=targets, split=split, contract=CONTRACT)


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_every_record_is_in_one_split_in_its_order(tmp_path: Path, compression: str) -> None:
    records = make.labelled(300)
    path = make.write_tfrecord(tmp_path / "in", records, compression)
    counts = ingest(shard(path, tmp_path)).counts
    written = {name: make.read_tfrecord(tmp_path / name, "GZIP") for name in SPLITS}
    assert counts == {name: len(items) for name, items in written.items()}
    assert Counter(item for items in written.values() for item in items) == Counter(records)
    position = {item: number for number, item in enumerate(records)}
    for items in written.values():
        numbers = [position[item] for item in items]
        assert numbers == sorted(numbers)


def test_a_record_stays_in_its_split_whatever_is_around_it(tmp_path: Path) -> None:
    records = make.labelled(100)
    alone = [int(split_of([item], HashSplit())[0]) for item in records]
    assert split_of(records, HashSplit()).tolist() == alone
    assert split_of(records[::-1], HashSplit()).tolist() == alone[::-1]


def test_the_hash_is_the_same_for_ever() -> None:
    # Golden values: another key, hash or order of the splits would move records between runs of different releases.
    words = [f"record {number}".encode() for number in range(12)]
    assert split_of(words, HashSplit(train=1, validation=1, test=1)).tolist() == [1, 0, 2, 0, 1, 0, 2, 0, 1, 1, 2, 1]


@given(st.tuples(*[st.integers(1, 20)] * 3))
@settings(deadline=None, max_examples=20)
def test_shares_are_kept(shares: tuple[int, int, int]) -> None:
    split = HashSplit(train=shares[0], validation=shares[1], test=shares[2])
    words = [f"record {number}".encode() for number in range(4000)]
    got = np.bincount(split_of(words, split), minlength=3) / len(words)
    np.testing.assert_allclose(got, np.array(shares) / sum(shares), atol=0.04)


def test_files_split_by_pattern_go_to_one_split_whole(tmp_path: Path) -> None:
    records = make.labelled(20)
    path = make.write_tfrecord(tmp_path / "in", records)
    assert ingest(shard(path, tmp_path, split=None)).counts == {"train": 20}
    assert make.read_tfrecord(tmp_path / "train", "GZIP") == records


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (make.record(image=PNG), "it has no label 'label'; its columns are: image"),
        (make.record(label=1), "it has no image 'image'; its columns are: label"),
        (make.record(image=PNG, label=2), "its label 'label' is 2, outside 0 to 1"),
        (make.record(image=PNG, label=-1), "its label 'label' is -1, outside 0 to 1"),
        (make.record(image=PNG, label=0.5), "its label 'label' is the float 0.5"),
        (make.record(image=PNG, label="dark"), "of another type than the labels before it"),
        (make.record(image=PNG, label=make.feature(0, 1)), "its label 'label' has 2 values"),
        (make.record(image=make.feature(PNG, PNG), label=0), "its image 'image' has 2 values"),
        (make.record(image=7, label=0), "its image 'image' is a number"),
        (make.record(image=b"nonsense", label=0), "none of JPEG, PNG, GIF, BMP: it begins with b'nonsense'"),
        (make.record(image=b"", label=0), "none of JPEG, PNG, GIF, BMP"),
        (b"\xff\xff\xff", "not a tf.Example"),
        (b"", "it has no image 'image'; its columns are: none"),
    ],
)
@pytest.mark.parametrize("position", [1, 40])
def test_a_record_that_breaks_the_contract_is_named(tmp_path: Path, bad: bytes, says: str, position: int) -> None:
    records = make.labelled(50)
    records[position] = bad
    path = make.write_tfrecord(tmp_path / "in", records)
    with pytest.raises(DataError) as caught:
        ingest(shard(path, tmp_path))
    assert f"{path}: record {position} (counted from 0): " in str(caught.value)
    assert says in str(caught.value)


def test_string_labels_are_held_to_the_classes() -> None:
    fine = [make.record(image=PNG, label=name) for name in ("dark", "light")]
    Checker(CONTRACT, "file").check(0, tf.constant(fine))
    with pytest.raises(
        DataError, match=r"record 9 \(counted from 0\): its label 'label' is 'grey', none of the classes"
    ):
        Checker(CONTRACT, "file").check(7, tf.constant([*fine, make.record(image=PNG, label="grey")]))


columns = st.fixed_dictionaries(
    {},
    optional={
        "image": st.lists(
            st.sampled_from([PNG, make.random_image(1, form="JPEG"), b"", b"BMx", b"GIF", b"x"]), max_size=2
        ),
        "label": st.lists(st.integers(-1, 3), max_size=2)
        | st.lists(st.sampled_from(["dark", "light", "x", "", "two\nlines", b"caf\xe9"]), max_size=2),
        "other": st.lists(st.floats(0, 1, width=32), max_size=3),
    },
)


@given(
    st.lists(columns, min_size=1, max_size=4), st.sampled_from([None, ("dark", "light")]), st.sampled_from([0, "dark"])
)
@settings(deadline=None)
def test_the_fast_check_and_the_one_that_names_agree(
    rows: list[dict], classes: tuple[str, ...] | None, first_label: int | str
) -> None:
    contract = Contract(images=("image",), label="label", classes=classes)
    # The first record settles the labels' dtype.
    rows = [{"image": [PNG], "label": [first_label]}, *rows]
    records = [make.record(**{k: make.feature(*v) for k, v in row.items() if v}) for row in rows]
    dtype = tf.int64 if first_label == 0 else tf.string
    faults = [find_fault(record, contract, dtype) for record in records]
    try:
        Checker(contract, "file").check(0, tf.constant(records))
        refused = None
    except DataError as error:
        refused = str(error)
    first = next((number for number, fault in enumerate(faults) if fault), None)
    assert refused == (None if first is None else f"file: record {first} (counted from 0): {faults[first]}")


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_a_file_that_ends_too_early_is_named_with_its_record(tmp_path: Path, compression: str) -> None:
    path = make.write_tfrecord(tmp_path / "in", make.labelled(60), compression)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"in: record \d+ \(counted from 0\) cannot be read: the file is truncated"):
        ingest(shard(path, tmp_path))


def test_a_flipped_byte_is_named_with_its_record(tmp_path: Path) -> None:
    records = make.labelled(60)
    path = make.write_tfrecord(tmp_path / "in", records)
    content = bytearray(path.read_bytes())
    framing = 16  # a length (8), its checksum (4), the data, its checksum (4)
    content[sum(len(item) + framing for item in records[:30]) + 20] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"in: record 30 \(counted from 0\) cannot be read"):
        ingest(shard(path, tmp_path))


def test_what_is_no_tfrecord_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("comma,separated\n" * 50)
    with pytest.raises(DataError, match=r"record 0 .* or is no TFRecord file"):
        ingest(shard(tmp_path / "in", tmp_path))


def test_an_image_that_does_not_decode_is_found_in_its_file(tmp_path: Path) -> None:
    records = make.labelled(12)
    fine = make.write_tfrecord(tmp_path / "fine", records)
    records[7] = make.record(image=PNG[:60], label=0)
    bad = make.write_tfrecord(tmp_path / "bad", records, "GZIP")
    manifest = Manifest(sources=(str(fine), str(bad)), images=("image",), counts={})
    assert "bad: record 7 (counted from 0): its image 'image' does not decode" in str(undecodable(manifest))
    assert undecodable(Manifest(sources=(str(fine),), images=("image",), counts={})) is None
