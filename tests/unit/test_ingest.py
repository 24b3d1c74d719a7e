"""Ingestion of one file: what is held to, split, written, set aside, and saved from damaged files."""

import gzip
import itertools
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hubline.artifacts.pins import PinnedFile
from hubline.artifacts.quarantine import FILE, SetAside, read_set_aside
from hubline.artifacts.splits import SPLITS
from hubline.components.config.data import HashSplit
from hubline.components.example_gen import ingest as ingesting
from hubline.components.example_gen.contract import Contract, Kind, are_sound, find_fault, kind_of
from hubline.components.example_gen.executor import Result, _refuse_empty
from hubline.components.example_gen.ingest import QUARANTINE, Ingested, Job, ingest, split_of
from hubline.components.example_gen.locate_bad_records import undecodable
from hubline.core import storage
from hubline.core.digest import file_digest
from hubline.core.errors import DataError
from hubline.core.tfrecord_recovery import salvage
from hubline.preprocessing.config import Features, ImageFeature, Label
from tests.support import make

CONTRACT = Contract(images=("image",), label="label", classes=("dark", "light"))
FEATURES: Features = {"image": ImageFeature(kind="image", size=(8, 8))}
PNG = make.random_image(0)
FRAMING = 16  # a length (8), its checksum (4), the data, its checksum (4)


def job(path: Path, split: HashSplit | None = HashSplit(), policy: str = "fail") -> Job:  # noqa: B008 - frozen
    stat = storage.stat(str(path))
    file = PinnedFile(path=str(path), size=stat.size, modified=stat.modified)
    return Job(file=file, group="all" if split else "train", split=split, contract=CONTRACT, policy=policy)


def ingest_to(folder: Path, task: Job) -> tuple[Ingested, dict[str, list[bytes]], list[SetAside]]:
    """What came of a file, the records of each file that was written, and the list of what was set aside."""
    folder.mkdir(exist_ok=True)
    ingested = ingest(task, str(folder))
    names = [name for name in (*SPLITS, QUARANTINE) if (folder / name).exists()]
    written = {name: make.read_tfrecord(folder / name, ingested.compression) for name in names}
    assert ingested.set_aside == len(written.get(QUARANTINE, []))
    for part in ingested.parts:
        assert part.count == len(written[part.split])
        assert part.largest == max(map(len, written[part.split]), default=0)
        assert part.digest == file_digest(f"{folder}/{part.split}")
    return ingested, written, list(read_set_aside(f"{folder}/{FILE}"))


@pytest.fixture
def in_no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes away what reads a file in Python."""
    monkeypatch.setattr(ingesting, "_thoroughly", None)


@pytest.mark.parametrize("compression", ["", "GZIP"])
@pytest.mark.usefixtures("in_no_python")
def test_every_record_is_in_one_split_in_its_order(tmp_path: Path, compression: str) -> None:
    records = make.labelled(300)
    path = make.write_tfrecord(tmp_path / "in", records, compression)
    _, written, _ = ingest_to(tmp_path / "out", job(path))
    assert Counter(item for items in written.values() for item in items) == Counter(records)
    assert set(written) == set(SPLITS)
    places = split_of(records, HashSplit()).numpy()
    for place, split in enumerate(SPLITS):
        assert written[split] == list(itertools.compress(records, places == place))


def test_a_record_stays_in_its_split_whatever_is_around_it(tmp_path: Path) -> None:
    records = make.labelled(100)
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
    records = make.labelled(20)
    path = make.write_tfrecord(tmp_path / "in", records, compression)
    ingested, written, _ = ingest_to(tmp_path / "out", job(path, split=None))
    assert ingested.compression == compression and written == {"train": records}
    (part,) = ingested.parts
    assert (part.split, part.count, part.largest) == ("train", 20, max(map(len, records)))
    assert part.digest == file_digest(str(path))
    path.write_bytes(b"written again, in place")
    assert part.digest == file_digest(str(tmp_path / "out/train"))


def test_a_file_that_changed_since_it_was_pinned_is_refused(tmp_path: Path) -> None:
    task = job(make.write_tfrecord(tmp_path / "in", make.labelled(20)))
    make.write_tfrecord(tmp_path / "in", make.labelled(21))
    with pytest.raises(DataError, match="in: the file has changed since the run began"):
        ingest_to(tmp_path / "out", task)


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
        (
            make.record(image=b"nonsense", label=0),
            "a pixel without compression: it begins with b'nonsense'",
        ),
        (make.record(image=b"", label=0), "is not a JPEG, PNG, GIF, or BMP of 8, 24 or 32 bits"),
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
        ingest_to(tmp_path / "out", job(path))
    assert f"{path}: record {position} (counted from 0): " in str(caught.value)
    assert says in str(caught.value)


def test_bad_records_are_set_aside_with_their_bytes_and_reasons(tmp_path: Path) -> None:
    records = make.labelled(200)
    bad = {3: make.record(image=PNG), 70: make.record(image=PNG, label=2), 199: make.record(image=b"x", label=0)}
    for number, record in bad.items():
        records[number] = record
    path = make.write_tfrecord(tmp_path / "in", records)
    for split in (HashSplit(), None):
        _, written, listed = ingest_to(tmp_path / f"out {split}", job(path, split, "quarantine"))
        assert written.pop(QUARANTINE) == list(bad.values())
        kept = [record for number, record in enumerate(records) if number not in bad]
        assert sorted(itertools.chain.from_iterable(written.values())) == sorted(kept)
        assert [entry.record for entry in listed] == list(bad)
        assert [entry.reason for entry in listed] == [find_fault(record, CONTRACT) for record in bad.values()]
        assert {entry.file for entry in listed} == {str(path)}


@pytest.mark.usefixtures("in_no_python")
def test_records_that_only_break_the_contract_are_found_without_python(tmp_path: Path) -> None:
    records = [*make.labelled(100), make.record(image=PNG, label=2), make.record(label=1)]
    path = make.write_tfrecord(tmp_path / "in", records)
    assert ingest_to(tmp_path / "out", job(path, policy="quarantine"))[0].set_aside == 2


@pytest.mark.parametrize("bad", [b"\xff\xff\xff", make.record(image=PNG, label="dark"), make.record(image=7, label=0)])
@pytest.mark.parametrize("position", [0, 33])
def test_what_tensorflow_cannot_parse_is_set_aside_alone(tmp_path: Path, bad: bytes, position: int) -> None:
    records = make.labelled(100)
    records.insert(position, bad)
    if position == 0:  # else the first record settles that labels are strings
        records.insert(0, b"\xff")
    path = make.write_tfrecord(tmp_path / "in", records)
    _, written, listed = ingest_to(tmp_path / "out", job(path, policy="quarantine"))
    aside = written.pop(QUARANTINE)
    assert bad in aside or find_fault(bad, CONTRACT) is None
    assert sorted([*itertools.chain.from_iterable(written.values()), *aside]) == sorted(records)
    assert len(listed) == len(aside)


def columns_in(record: bytes) -> dict[str, list]:
    return {name: contract_values(of) for name, of in tf.train.Example.FromString(record).features.feature.items()}


def contract_values(feature: tf.train.Feature) -> list:
    return list(getattr(feature, feature.WhichOneof("kind")).value)


@pytest.mark.parametrize("split", [None, HashSplit()])
@pytest.mark.parametrize("damaged", [False, True])
def test_sequence_examples_are_written_as_examples(tmp_path: Path, split: HashSplit | None, damaged: bool) -> None:
    examples = make.labelled(100)
    examples[50:55] = [b"", make.record(image=PNG), *examples[52:55]]
    records = [make.sequence(record) for record in examples]
    records[:10] = examples[:10]  # some are no SequenceExamples
    path = make.write_tfrecord(tmp_path / "in", records)
    if damaged:  # read record by record
        path.write_bytes(path.read_bytes() + b"cut")
    _, written, listed = ingest_to(tmp_path / "out", job(path, split, "quarantine"))
    bad = [50, 51, 100] if damaged else [50, 51]
    assert [entry.record for entry in listed] == bad
    assert written.pop(QUARANTINE)[:2] == records[50:52]  # as they came
    places = split_of(records, split).numpy() if split else np.zeros(len(records), int)
    for place, name in enumerate(written):
        kept = [number for number in range(100) if places[number] == place and number not in bad]
        expected = [columns_in(examples[number]) | ({} if number < 10 else {"steps": [0, 1, 2]}) for number in kept]
        assert list(map(columns_in, written[name])) == expected


@pytest.mark.usefixtures("in_no_python")
def test_the_contract_is_kept_by_context_and_feature_lists(tmp_path: Path) -> None:
    """A picture that is the one step of a list is one."""
    in_lists = tf.train.SequenceExample(context=tf.train.Features(feature={"label": make.feature(1)}))
    in_lists.feature_lists.feature_list["image"].feature.append(make.feature(PNG))
    records = [*map(make.sequence, make.labelled(20)), in_lists.SerializeToString()]
    path = make.write_tfrecord(tmp_path / "in", records)
    _, written, listed = ingest_to(tmp_path / "out", job(path, split=None))
    assert not listed and columns_in(written["train"][-1]) == {"image": [PNG], "label": [1]}
    in_lists.feature_lists.feature_list["image"].feature.append(make.feature(PNG))
    make.write_tfrecord(path, [*records, in_lists.SerializeToString()])
    with pytest.raises(DataError, match=r"record 21 .*: its image 'image' has 2 values"):
        ingest_to(tmp_path / "out", job(path))


def sequence_with(**lists: list[tf.train.Feature]) -> bytes:
    message = tf.train.SequenceExample.FromString(make.sequence(make.labelled(1)[0]))
    for name, steps in lists.items():
        message.feature_lists.feature_list[name].feature.extend(steps)
    return message.SerializeToString()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (sequence_with(label=[make.feature(1)]), "its column 'label' is both in its context and among its feature l"),
        (sequence_with(label=[]), "its column 'label' is both in its context and among its feature lists; rename one"),
        (
            sequence_with(x=[make.feature(1), make.feature(0.5)]),
            "the steps of its feature list 'x' are of several types: float_list, int64_list",
        ),
    ],
)
def test_a_sequence_example_that_cannot_be_flattened_is_named(tmp_path: Path, bad: bytes, says: str) -> None:
    records = [make.sequence(record) for record in make.labelled(50)]
    records[33] = bad
    path = make.write_tfrecord(tmp_path / "in", records)
    with pytest.raises(DataError) as caught:
        ingest_to(tmp_path / "out", job(path))
    assert f"{path}: record 33 (counted from 0): {says}" in str(caught.value)
    _, written, (entry,) = ingest_to(tmp_path / "aside", job(path, policy="quarantine"))
    assert written.pop(QUARANTINE) == [bad] and says in entry.reason
    assert sum(map(len, written.values())) == 49


def test_the_picture_of_a_sequence_example_that_does_not_decode_is_found(tmp_path: Path) -> None:
    bad = tf.train.SequenceExample()
    bad.feature_lists.feature_list["image"].feature.append(make.feature(PNG[:60]))
    records = [make.sequence(make.labelled(1)[0]), bad.SerializeToString(), sequence_with(label=[])]
    path = make.write_tfrecord(tmp_path / "in", records)
    assert [entry.record for entry in undecodable(str(path), FEATURES)] == [1]


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
    kind = kind_of(records[0], contract)
    sound = [find_fault(record, contract, kind) is None for record in records]
    try:
        assert are_sound(tf.constant(records), contract, kind).numpy().tolist() == sound
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # the type of a column, which all else is lost behind
        alone = [_is_sound_alone(record, contract, kind) for record in records]
        assert alone == sound and not all(sound)


COMPARED = Contract(images=(), numbers=("tips", "fare"))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (make.record(tips=1.0), "it has no column 'fare'; its columns are: tips; the label is made from it"),
        (make.record(), "it has no column 'tips'; its columns are: none; the label is made from it"),
        (
            make.record(tips=make.feature(1.0, 2.0), fare=1),
            "its column 'tips' has 2 values; it must have one; the label",
        ),
        (
            make.record(tips="much", fare=1),
            "its column 'tips', which the label is made from, is b'much'; it must be a n",
        ),
        (make.record(tips=1.0, fare=1.0), "its column 'fare' is 1.0, of another type than those before it"),
        (make.record(tips=1, fare=1), "its column 'tips' is 1, of another type than those before it"),
        (make.record(tips=float("nan"), fare=1), "its column 'tips', which the label is made from, is nan"),
        (make.record(tips=float("-inf"), fare=1), "its column 'tips', which the label is made from, is -inf"),
    ],
)
def test_a_record_without_the_numbers_of_its_label_is_named(tmp_path: Path, bad: bytes, says: str) -> None:
    records = [make.record(tips=number / 2, fare=number) for number in range(50)]
    records[30] = bad
    path = make.write_tfrecord(tmp_path / "in", records)
    task = job(path).model_copy(update={"contract": COMPARED})
    with pytest.raises(DataError) as caught:
        ingest_to(tmp_path / "out", task)
    assert f"{path}: record 30 (counted from 0): " in str(caught.value)
    assert says in str(caught.value)
    _, written, (entry,) = ingest_to(tmp_path / "aside", task.model_copy(update={"policy": "quarantine"}))
    assert written.pop(QUARANTINE) == [bad] and says in entry.reason
    assert sorted(itertools.chain.from_iterable(written.values())) == sorted(records[:30] + records[31:])


@pytest.mark.usefixtures("in_no_python")
def test_the_contract_of_a_label_is_what_it_is_made_from(tmp_path: Path) -> None:
    features = TypeAdapter(Features).validate_python(
        {"b": {"kind": "image", "size": [8, 8]}, "a": {"kind": "image", "size": [8, 8]}, "x": {"kind": "numeric"}}
    )
    labels = TypeAdapter(Label)
    compared = labels.validate_python({"kind": "binary", "where": "tips > 0.2 * fare"})
    assert Contract.of(features, compared) == Contract(images=("a", "b"), numbers=("tips", "fare"))
    of_one = labels.validate_python({"kind": "binary", "from": "clicked"})
    assert Contract.of({}, of_one) == Contract(images=(), numbers=("clicked",))
    named = labels.validate_python({"kind": "class", "from": "label", "classes": ["x", "y"]})
    assert Contract.of(features, named) == Contract(images=("a", "b"), label="label", classes=("x", "y"))
    tags = labels.validate_python({"kind": "multilabel", "from": "tags", "classes": ["dark", "light"]})
    assert Contract.of({}, tags) == TAGGED
    by_column = labels.validate_python({"kind": "multilabel", "columns": ["sea", "sky"]})
    assert Contract.of({}, by_column) == Contract(images=(), numbers=("sea", "sky"), indicators=True)
    path = make.write_tfrecord(tmp_path / "in", [make.record(tips=number / 2, fare=number) for number in range(99)])
    ingested, _, listed = ingest_to(tmp_path / "out", job(path).model_copy(update={"contract": COMPARED}))
    assert ingested.kind == Kind(numbers=("float32", "int64")) and not listed


TAGGED = Contract(images=(), label="tags", several=True, classes=("dark", "light"))
EMPTY = {
    "string": tf.train.Feature(bytes_list=tf.train.BytesList()),
    "int64": tf.train.Feature(int64_list=tf.train.Int64List()),
    "float": tf.train.Feature(float_list=tf.train.FloatList()),
    "nothing": tf.train.Feature(),
}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (make.record(tags=make.feature("dark", "red")), "its label 'tags' is 'red', none of the classes dark, light"),
        (make.record(tags=make.feature("dark", "")), "is b''; a class name is a line of UTF-8 text, and not empty"),
        (make.record(tags=make.feature(b"light", b"caf\xe9")), "is b'caf\\xe9'; a class name is a line of UTF-8 text"),
        (make.record(tags=make.feature(1, 0)), "its label 'tags' is 1, of another type than the labels before it"),
        (make.record(tags=EMPTY["int64"]), "its label 'tags' is an empty list of type int64, of another type than the"),
        (make.record(tags=make.feature(0.5, 1.0)), "its label 'tags' is the float 0.5; a class is an integer or a st"),
        (make.record(tags=EMPTY["float"]), "its label 'tags' is an empty list of floats; a class is an integer or a"),
    ],
)
def test_a_record_with_another_class_or_type_among_several_is_named(tmp_path: Path, bad: bytes, says: str) -> None:
    several = [make.feature("dark"), make.feature("light", "dark"), make.feature("dark", "dark"), EMPTY["string"]]
    records = [make.record(id=number, tags=several[number % 4]) for number in range(50)]
    records[30] = bad
    path = make.write_tfrecord(tmp_path / "in", records)
    task = job(path).model_copy(update={"contract": TAGGED})
    with pytest.raises(DataError) as caught:
        ingest_to(tmp_path / "out", task)
    assert f"{path}: record 30 (counted from 0): " in str(caught.value) and says in str(caught.value)
    _, written, (entry,) = ingest_to(tmp_path / "aside", task.model_copy(update={"policy": "quarantine"}))
    assert written.pop(QUARANTINE) == [bad] and says in entry.reason
    assert sorted(itertools.chain.from_iterable(written.values())) == sorted(records[:30] + records[31:])


@pytest.mark.usefixtures("in_no_python")
@pytest.mark.parametrize(
    ("first", "kind"), [(make.feature("dark"), "string"), (make.feature(1, 0), "int64"), (EMPTY["nothing"], "")]
)
def test_the_first_records_with_any_class_tell_the_type_of_several(tmp_path: Path, first, kind: str) -> None:
    records = [make.record(id=number, **({} if number % 2 else {"tags": EMPTY["nothing"]})) for number in range(40)]
    records += [make.record(id=number, tags=first) for number in range(40, 99)]
    path = make.write_tfrecord(tmp_path / "in", records)
    ingested, written, listed = ingest_to(tmp_path / "out", job(path).model_copy(update={"contract": TAGGED}))
    assert ingested.kind == Kind(label=kind) and not listed
    assert sorted(itertools.chain.from_iterable(written.values())) == sorted(records)


several = (
    st.lists(st.integers(-1, 3), max_size=3)
    | st.lists(st.sampled_from(["dark", "light", "light", "x", "", "two\nlines", b"caf\xe9"]), max_size=3)
    | st.lists(st.floats(0, 1, width=32), min_size=1, max_size=2)
    | st.sampled_from(list(EMPTY))
)


def tagged(values: list | str) -> bytes:
    if isinstance(values, str):
        return make.record(tags=EMPTY[values])
    return make.record(tags=make.feature(*values)) if values else make.record(other=1)


@given(
    st.lists(several, min_size=1, max_size=4),
    st.sampled_from([None, ("dark", "light")]),
    st.sampled_from(["int64", "string", [0, 1], ["dark"]]),
)
@settings(deadline=None)
def test_the_fast_check_of_several_classes_and_the_one_that_names_agree(rows: list, classes, first) -> None:
    contract = TAGGED.model_copy(update={"classes": classes})
    records = [tagged(values) for values in [first, *rows]]  # the first record settles the labels' dtype
    kind = kind_of(records[0], contract)
    sound = [find_fault(record, contract, kind) is None for record in records]
    assert sound[0]
    assert [_is_sound_alone(record, contract, kind) for record in records] == sound
    try:
        assert are_sound(tf.constant(records), contract, kind).numpy().tolist() == sound
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # the type of a column, which all else is lost behind
        assert not all(sound)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (0, ""),
        (1, ""),
        (2, "which says whether it is of a class, is 2; it must be 0 or 1"),
        (-1, "is -1; it must be 0"),
    ],
)
@pytest.mark.parametrize("number", [int, float])
def test_a_column_of_each_class_is_0_or_1(value: int, fault: str, number: type) -> None:
    label = TypeAdapter(Label).validate_python({"kind": "multilabel", "columns": ["sea", "sky"]})
    contract = Contract.of({}, label)
    sound, item = (make.record(sea=number(each), sky=1) for each in (0, value))
    found = find_fault(item, contract, kind_of(sound, contract))
    assert (found is None) == (not fault) and fault in (found or "")
    checked = are_sound(tf.constant([sound, item]), contract, kind_of(sound, contract))
    assert checked.numpy().tolist() == [True, not fault]


finite = st.lists(st.integers(-9, 9), max_size=2) | st.lists(st.floats(width=32), max_size=2)
compared = st.fixed_dictionaries(
    {}, optional={"tips": finite, "fare": finite | st.lists(st.sampled_from(["", "x"]), max_size=2)}
)


@given(st.lists(compared, min_size=1, max_size=4), st.sampled_from([0, 0.5]), st.sampled_from([1, 2.5]))
@settings(deadline=None)
def test_the_fast_check_of_numbers_and_the_one_that_names_agree(rows: list[dict], tips: float, fare: float) -> None:
    rows = [{"tips": [tips], "fare": [fare]}, *rows]  # the first record settles the dtypes
    records = [make.record(**{k: make.feature(*v) for k, v in row.items() if v}) for row in rows]
    kind = kind_of(records[0], COMPARED)
    sound = [find_fault(record, COMPARED, kind) is None for record in records]
    assert sound[0]
    assert [_is_sound_alone(record, COMPARED, kind) for record in records] == sound
    try:
        assert are_sound(tf.constant(records), COMPARED, kind).numpy().tolist() == sound
    except tf.errors.InvalidArgumentError:  # the type of a column
        assert not all(sound)


def _is_sound_alone(record: bytes, contract: Contract, kind) -> bool:
    try:
        return bool(are_sound(tf.constant([record]), contract, kind)[0])
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):
        return False


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_a_file_that_ends_too_early_is_named_with_its_record(tmp_path: Path, compression: str) -> None:
    path = make.write_tfrecord(tmp_path / "in", make.labelled(60), compression)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"in: record \d+ \(counted from 0\) cannot be read: the file is truncated"):
        ingest_to(tmp_path / "out", job(path))


def starts_of(records: list[bytes]) -> list[int]:
    """Where each record begins in a plain file, and where the file ends."""
    return [0, *itertools.accumulate(len(record) + FRAMING for record in records)]


def test_a_flipped_byte_is_named_with_its_record(tmp_path: Path) -> None:
    records = make.labelled(60)
    path = make.write_tfrecord(tmp_path / "in", records)
    content = bytearray(path.read_bytes())
    content[starts_of(records)[30] + 20] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"in: record 30 \(counted from 0\) cannot be read"):
        ingest_to(tmp_path / "out", job(path))


FEW = make.labelled(12)
STARTS = starts_of(FEW)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make.write_tfrecord(tmp_path_factory.mktemp("plain") / "in", FEW).read_bytes()


def ingest_damaged(folder: Path, content: bytes) -> tuple[list[bytes], list[SetAside]]:
    """The records of a damaged file that are in a split, in no order, and what was set aside."""
    (folder / "in").write_bytes(content)
    _, written, listed = ingest_to(folder / "out", job(folder / "in", policy="quarantine"))
    written.pop(QUARANTINE, None)
    (folder / "out" / QUARANTINE).unlink(missing_ok=True)
    (folder / "out" / FILE).unlink(missing_ok=True)
    return list(itertools.chain.from_iterable(written.values())), listed


def every_part_of_a_record() -> list[int]:
    """A byte of each part of the first, of one, and of the last record: its length, checksums and data."""
    parts = [0, 7, 8, 11, 12, 40]
    return [STARTS[k] + part for k in (0, 5, 11) for part in parts] + [
        STARTS[k] - back for k in (1, 6, 12) for back in (1, 4, 5)
    ]


@pytest.mark.parametrize("at", every_part_of_a_record())
def test_a_flip_in_a_plain_file_costs_the_one_record_that_it_hits(tmp_path: Path, plain: bytes, at: int) -> None:
    content = bytearray(plain)
    content[at] ^= 0x11
    hit = next(number for number in range(12) if at < STARTS[number + 1])
    kept, listed = ingest_damaged(tmp_path, content)
    assert sorted(kept) == sorted(FEW[:hit] + FEW[hit + 1 :])
    assert [(entry.file, entry.record) for entry in listed] == [(f"{tmp_path}/in", hit)]
    assert f"(bytes {STARTS[hit]} to {STARTS[hit + 1]})" in listed[0].reason


@pytest.mark.parametrize("at", [1, 11, 12, 13, *(STARTS[7] + part for part in (0, 1, 7, 11, 12, 50)), STARTS[12] - 1])
def test_a_cut_plain_file_gives_what_is_before_the_cut(tmp_path: Path, plain: bytes, at: int) -> None:
    whole = next(number for number in reversed(range(13)) if STARTS[number] <= at)
    kept, listed = ingest_damaged(tmp_path, plain[:at])
    assert sorted(kept) == sorted(FEW[:whole])
    assert [entry.record for entry in listed] == ([] if at == STARTS[whole] else [whole])


@given(st.lists(st.tuples(st.integers(0, STARTS[-1] - 1), st.integers(1, 255)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=50)
def test_whatever_is_flipped_the_other_records_are_all_read(plain: bytes, tmp_path_factory, flips) -> None:
    content = bytearray(plain)
    for at, mask in flips:
        content[at] ^= mask
    path = tmp_path_factory.mktemp("flipped") / "in"
    path.write_bytes(content)
    hit = {
        number
        for number in range(12)
        if content[slice(*STARTS[number : number + 2])] != plain[slice(*STARTS[number : number + 2])]
    }
    found = list(salvage(str(path)))
    assert [item.data for item in found if item.fault is None] == [FEW[k] for k in range(12) if k not in hit]
    assert len(found) <= 12


def test_lost_bytes_in_the_middle_cost_no_whole_record_but_what_they_touch(tmp_path: Path, plain: bytes) -> None:
    content = plain[: STARTS[4] + 5] + plain[STARTS[6] + 9 :]
    kept, listed = ingest_damaged(tmp_path, content)
    assert sorted(kept) == sorted(FEW[:4] + FEW[7:])
    assert [entry.record for entry in listed] == [4]


@pytest.mark.parametrize("where", [0.0, 0.02, 0.3, 0.5, 0.7, 0.99])
@pytest.mark.parametrize("how", ["cut", "flip"])
def test_a_damaged_gzip_file_is_read_as_far_as_it_goes(tmp_path: Path, where: float, how: str) -> None:
    records = make.labelled(150)
    content = bytearray(make.write_tfrecord(tmp_path / "whole", records, "GZIP").read_bytes())
    at = max(3, int(where * len(content)))
    content[at] ^= 0xFF
    if how == "cut":
        del content[at:]
    kept, listed = ingest_damaged(tmp_path, bytes(content))
    assert not Counter(kept) - Counter(records)
    assert len(listed) >= (len(kept) < len(records))
    # All records that are decompressed in front of the damage are there.
    inflated = zlib.decompressobj(31)
    clear = b""
    for byte in content[: at - 1]:
        clear += inflated.decompress(bytes([byte]))
    before = sum(start <= len(clear) for start in starts_of(records)[1:])
    assert set(records[:before]) <= set(kept)


def test_a_gzip_file_whose_trailer_alone_is_damaged_loses_nothing(tmp_path: Path, plain: bytes) -> None:
    whole = gzip.compress(plain)
    for damaged in (whole[:-1], whole[:-8], whole[:-3] + b"???", whole[:-8] + b"????" + whole[-4:], whole + bytes(512)):
        kept, listed = ingest_damaged(tmp_path, damaged)
        assert sorted(kept) == sorted(FEW) and not listed


def test_gzip_files_one_behind_the_other_are_one_file(tmp_path: Path, plain: bytes) -> None:
    halves = gzip.compress(plain[:700]) + gzip.compress(plain[700:])
    for content in (halves, gzip.compress(b"") + halves):  # TensorFlow's reader finds the second one empty
        kept, listed = ingest_damaged(tmp_path, content)
        assert sorted(kept) == sorted(FEW) and not listed


@pytest.mark.usefixtures("in_no_python")
@pytest.mark.parametrize("sizes", [(700,), (100, 100, 300), (1, 2, 5000)])
def test_gzip_files_one_behind_the_other_are_read_without_python(tmp_path: Path, plain: bytes, sizes) -> None:
    ends = [0, *itertools.accumulate(sizes), len(plain)]
    content = b"".join(gzip.compress(plain[begin:end]) for begin, end in itertools.pairwise(ends))
    (tmp_path / "in").write_bytes(content)
    ingested, written, _ = ingest_to(tmp_path / "out", job(tmp_path / "in", split=None))
    assert written["train"] == FEW
    assert ingested.compression == "GZIP"


def test_members_that_tensorflow_does_not_see_are_read_all_the_same(tmp_path: Path, plain: bytes) -> None:
    """It takes an empty member for the end."""
    content = gzip.compress(plain[:700]) + gzip.compress(b"") + gzip.compress(plain[700:])
    (tmp_path / "in").write_bytes(content)
    _, written, _ = ingest_to(tmp_path / "out", job(tmp_path / "in", split=None))
    assert written["train"] == FEW


def test_each_record_is_handed_on_once_however_large_a_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of the records before is not copied with each batch, which grows with the square of the file."""
    monkeypatch.setattr(ingesting, "_BATCH", 4)
    records = make.labelled(40)
    path = make.write_tfrecord(tmp_path / "in", records)
    graphs = ingesting._graphs(CONTRACT, Kind(label="int64"), HashSplit(), False)
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


def test_a_gzip_file_that_ends_between_records_is_noticed(tmp_path: Path, plain: bytes) -> None:
    # Flushed after each record, such a file can be cut without a trace in the records themselves.
    stream = zlib.compressobj(wbits=31)
    content = b""
    for begin, end in itertools.pairwise(STARTS[:8]):
        content += stream.compress(plain[begin:end]) + stream.flush(zlib.Z_SYNC_FLUSH)
    kept, listed = ingest_damaged(tmp_path, content)
    assert sorted(kept) == sorted(FEW[:7])
    assert [entry.record for entry in listed] == [7] and "the GZIP stream is cut short" in listed[0].reason
    with pytest.raises(DataError, match=r"record 7 \(counted from 0\) cannot be read.*the GZIP stream is cut short"):
        ingest_to(tmp_path / "out", job(tmp_path / "in"))


@pytest.mark.parametrize(
    ("records", "says"),
    [
        (make.labelled(2) * 3, "only 2 of the 6 records are distinct, and equal ones go to the same split"),
        (make.labelled(2), "give more data or other shares in data.split"),
    ],
)
def test_a_split_that_is_empty_says_whether_records_repeat_themselves(tmp_path: Path, records, says: str) -> None:
    task = job(make.write_tfrecord(tmp_path / "in", records))
    ingested, *_ = ingest_to(tmp_path / "out", task)
    counts = {part.split: part.count for part in ingested.parts}
    assert min(counts.values()) == 0
    with pytest.raises(DataError, match=r"the split '\w+' is empty \(.*\): " + says):
        _refuse_empty(counts, task.split, [Result("all", "0", str(tmp_path / "out"), ingested)])


@pytest.mark.parametrize("policy", ["fail", "quarantine"])
def test_a_zlib_file_is_named_with_what_to_do(tmp_path: Path, policy: str) -> None:
    path = make.write_tfrecord(tmp_path / "in", make.labelled(5), "ZLIB")
    with pytest.raises(DataError, match=r"in: its records are compressed with ZLIB.*write them again.*'GZIP'"):
        ingest_to(tmp_path / "out", job(path, policy=policy))


def test_a_plain_file_that_begins_like_zlib_is_plain(tmp_path: Path) -> None:
    record = make.record(image=PNG, label="dark", more=bytes(0x9C78))
    length = 0x9C78
    record = make.record(image=PNG, label="dark", more=bytes(length - (len(record) - length)))
    path = make.write_tfrecord(tmp_path / "in", [record])
    assert path.read_bytes()[:2] == b"\x78\x9c"
    _, written, _ = ingest_to(tmp_path / "out", job(path, split=None))
    assert written["train"] == [record]


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    for content in (b"", gzip.compress(b"")):
        assert ingest_damaged(tmp_path, content) == ([], [])


def test_what_is_no_tfrecord_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("comma,separated\n" * 50)
    with pytest.raises(DataError, match=r"record 0 .* or is no TFRecord file"):
        ingest_to(tmp_path / "out", job(tmp_path / "in"))


def test_an_image_that_does_not_decode_is_found_in_its_file(tmp_path: Path) -> None:
    records = make.labelled(12)
    fine = make.write_tfrecord(tmp_path / "fine", records)
    records[7] = make.record(image=PNG[:60], label=0)
    bad = make.write_tfrecord(tmp_path / "bad", records, "GZIP")

    (found,) = undecodable(str(bad), FEATURES)
    assert str(found).startswith(f"{bad}: record 7 (counted from 0): its image 'image' does not decode")
    assert list(undecodable(str(fine), FEATURES)) == []
