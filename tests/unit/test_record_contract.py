"""Validation of records: the fast one on batches, the exact one that names the fault, and SequenceExamples."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import ColumnTypes, Contract
from hubline.components.example_gen.ingest_job import QUARANTINE, split_of
from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.locate_bad_records import undecodable
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.core.errors import DataError
from hubline.preprocessing.config import Features, Label
from tests.support import example_data
from tests.support.ingestion import CONTRACT, FEATURES, PNG, columns_in, ingest_to, job


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (example_data.record(image=PNG), "it has no label 'label'; its columns are: image"),
        (example_data.record(label=1), "it has no image 'image'; its columns are: label"),
        (example_data.record(image=PNG, label=2), "its label 'label' is 2, outside 0 to 1"),
        (example_data.record(image=PNG, label=-1), "its label 'label' is -1, outside 0 to 1"),
        (example_data.record(image=PNG, label=0.5), "its label 'label' is the float 0.5"),
        (example_data.record(image=PNG, label="dark"), "of another type than the labels before it"),
        (example_data.record(image=PNG, label=example_data.feature(0, 1)), "its label 'label' has 2 values"),
        (example_data.record(image=example_data.feature(PNG, PNG), label=0), "its image 'image' has 2 values"),
        (example_data.record(image=7, label=0), "its image 'image' is a number"),
        (
            example_data.record(image=b"nonsense", label=0),
            "a pixel without compression: it begins with b'nonsense'",
        ),
        (example_data.record(image=b"", label=0), "is not a JPEG, PNG, GIF, or BMP of 8, 24 or 32 bits"),
        (b"\xff\xff\xff", "not a tf.Example"),
        (b"", "it has no image 'image'; its columns are: none"),
    ],
)
@pytest.mark.parametrize("position", [1, 40])
def test_a_record_that_breaks_the_contract_is_named(tmp_path: Path, bad: bytes, says: str, position: int) -> None:
    records = example_data.labelled(50)
    records[position] = bad
    path = example_data.write_tfrecord(tmp_path / "in", records)
    with pytest.raises(DataError) as caught:
        ingest_to(tmp_path / "out", job(path))
    assert f"{path}: record {position} (counted from 0): " in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.slow
def test_bad_records_are_set_aside_with_their_bytes_and_reasons(tmp_path: Path) -> None:
    records = example_data.labelled(200)
    bad = {
        3: example_data.record(image=PNG),
        70: example_data.record(image=PNG, label=2),
        199: example_data.record(image=b"x", label=0),
    }
    for number, record in bad.items():
        records[number] = record
    path = example_data.write_tfrecord(tmp_path / "in", records)
    for split in (HashSplit(), None):
        _, written, listed = ingest_to(tmp_path / f"out {split}", job(path, split, "quarantine"))
        assert written.pop(QUARANTINE) == list(bad.values())
        kept = [record for number, record in enumerate(records) if number not in bad]
        assert sorted(itertools.chain.from_iterable(written.values())) == sorted(kept)
        assert [entry.record for entry in listed] == list(bad)
        assert [entry.reason for entry in listed] == [find_fault(record, CONTRACT) for record in bad.values()]
        assert {entry.file for entry in listed} == {str(path)}


@pytest.mark.slow
@pytest.mark.usefixtures("in_no_python")
def test_records_that_only_break_the_contract_are_found_without_python(tmp_path: Path) -> None:
    records = [*example_data.labelled(100), example_data.record(image=PNG, label=2), example_data.record(label=1)]
    path = example_data.write_tfrecord(tmp_path / "in", records)
    assert ingest_to(tmp_path / "out", job(path, policy="quarantine"))[0].quarantined_records == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "bad", [b"\xff\xff\xff", example_data.record(image=PNG, label="dark"), example_data.record(image=7, label=0)]
)
@pytest.mark.parametrize("position", [0, 33])
def test_what_tensorflow_cannot_parse_is_set_aside_alone(tmp_path: Path, bad: bytes, position: int) -> None:
    records = example_data.labelled(100)
    records.insert(position, bad)
    if position == 0:  # otherwise the first record determines that labels are strings
        records.insert(0, b"\xff")
    path = example_data.write_tfrecord(tmp_path / "in", records)
    _, written, listed = ingest_to(tmp_path / "out", job(path, policy="quarantine"))
    aside = written.pop(QUARANTINE)
    assert bad in aside or find_fault(bad, CONTRACT) is None
    assert sorted([*itertools.chain.from_iterable(written.values()), *aside]) == sorted(records)
    assert len(listed) == len(aside)


@pytest.mark.slow
@pytest.mark.parametrize("split", [None, HashSplit()])
@pytest.mark.parametrize("damaged", [False, True])
def test_sequence_examples_are_written_as_examples(tmp_path: Path, split: HashSplit | None, damaged: bool) -> None:
    examples = example_data.labelled(100)
    examples[50:55] = [b"", example_data.record(image=PNG), *examples[52:55]]
    records = [example_data.sequence(record) for record in examples]
    records[:10] = examples[:10]  # some are not SequenceExamples
    path = example_data.write_tfrecord(tmp_path / "in", records)
    if damaged:  # read record by record
        path.write_bytes(path.read_bytes() + b"cut")
    _, written, listed = ingest_to(tmp_path / "out", job(path, split, "quarantine"))
    bad = [50, 51, 100] if damaged else [50, 51]
    assert [entry.record for entry in listed] == bad
    assert written.pop(QUARANTINE)[:2] == records[50:52]  # unchanged
    places = split_of(records, split).numpy() if split else np.zeros(len(records), int)
    for place, name in enumerate(written):
        kept = [number for number in range(100) if places[number] == place and number not in bad]
        expected = [columns_in(examples[number]) | ({} if number < 10 else {"steps": [0, 1, 2]}) for number in kept]
        assert list(map(columns_in, written[name])) == expected


@pytest.mark.slow
@pytest.mark.usefixtures("in_no_python")
def test_the_contract_is_kept_by_context_and_feature_lists(tmp_path: Path) -> None:
    """An image may be the single step of a feature list."""
    in_lists = tf.train.SequenceExample(context=tf.train.Features(feature={"label": example_data.feature(1)}))
    in_lists.feature_lists.feature_list["image"].feature.append(example_data.feature(PNG))
    records = [*map(example_data.sequence, example_data.labelled(20)), in_lists.SerializeToString()]
    path = example_data.write_tfrecord(tmp_path / "in", records)
    _, written, listed = ingest_to(tmp_path / "out", job(path, split=None))
    assert not listed and columns_in(written["train"][-1]) == {"image": [PNG], "label": [1]}
    in_lists.feature_lists.feature_list["image"].feature.append(example_data.feature(PNG))
    example_data.write_tfrecord(path, [*records, in_lists.SerializeToString()])
    with pytest.raises(DataError, match=r"record 21 .*: its image 'image' has 2 values"):
        ingest_to(tmp_path / "out", job(path))


def sequence_with(**lists: list[tf.train.Feature]) -> bytes:
    message = tf.train.SequenceExample.FromString(example_data.sequence(example_data.labelled(1)[0]))
    for name, steps in lists.items():
        message.feature_lists.feature_list[name].feature.extend(steps)
    return message.SerializeToString()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (
            sequence_with(label=[example_data.feature(1)]),
            "its column 'label' is both in its context and among its feature l",
        ),
        (sequence_with(label=[]), "its column 'label' is both in its context and among its feature lists; rename one"),
        (
            sequence_with(x=[example_data.feature(1), example_data.feature(0.5)]),
            "the steps of its feature list 'x' are of several types: float_list, int64_list",
        ),
    ],
)
def test_a_sequence_example_that_cannot_be_flattened_is_named(tmp_path: Path, bad: bytes, says: str) -> None:
    records = [example_data.sequence(record) for record in example_data.labelled(50)]
    records[33] = bad
    path = example_data.write_tfrecord(tmp_path / "in", records)
    with pytest.raises(DataError) as caught:
        ingest_to(tmp_path / "out", job(path))
    assert f"{path}: record 33 (counted from 0): {says}" in str(caught.value)
    _, written, (entry,) = ingest_to(tmp_path / "aside", job(path, policy="quarantine"))
    assert written.pop(QUARANTINE) == [bad] and says in entry.reason
    assert sum(map(len, written.values())) == 49


@pytest.mark.slow
def test_the_picture_of_a_sequence_example_that_does_not_decode_is_found(tmp_path: Path) -> None:
    bad = tf.train.SequenceExample()
    bad.feature_lists.feature_list["image"].feature.append(example_data.feature(PNG[:60]))
    records = [example_data.sequence(example_data.labelled(1)[0]), bad.SerializeToString(), sequence_with(label=[])]
    path = example_data.write_tfrecord(tmp_path / "in", records)
    assert [entry.record for entry in undecodable(str(path), FEATURES)] == [1]


columns = st.fixed_dictionaries(
    {},
    optional={
        "image": st.lists(
            st.sampled_from([PNG, example_data.random_image(1, form="JPEG"), b"", b"BMx", b"GIF", b"x"]), max_size=2
        ),
        "label": st.lists(st.integers(-1, 3), max_size=2)
        | st.lists(st.sampled_from(["dark", "light", "x", "", "two\nlines", b"caf\xe9"]), max_size=2),
        "other": st.lists(st.floats(0, 1, width=32), max_size=3),
    },
)


@pytest.mark.slow
@given(
    st.lists(columns, min_size=1, max_size=4), st.sampled_from([None, ("dark", "light")]), st.sampled_from([0, "dark"])
)
@settings(deadline=None)
def test_the_fast_check_and_the_one_that_names_agree(
    rows: list[dict], classes: tuple[str, ...] | None, first_label: int | str
) -> None:
    contract = Contract(images=("image",), label="label", classes=classes)
    # The first record determines the labels' dtype.
    rows = [{"image": [PNG], "label": [first_label]}, *rows]
    records = [example_data.record(**{k: example_data.feature(*v) for k, v in row.items() if v}) for row in rows]
    kind = kind_of(records[0], contract)
    sound = [find_fault(record, contract, kind) is None for record in records]
    try:
        assert are_sound(tf.constant(records), contract, kind).numpy().tolist() == sound
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # the type of a column, which hides all other faults
        alone = [_is_sound_alone(record, contract, kind) for record in records]
        assert alone == sound and not all(sound)


COMPARED = Contract(images=(), numbers=("tips", "fare"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (example_data.record(tips=1.0), "it has no column 'fare'; its columns are: tips; the label is made from it"),
        (example_data.record(), "it has no column 'tips'; its columns are: none; the label is made from it"),
        (
            example_data.record(tips=example_data.feature(1.0, 2.0), fare=1),
            "its column 'tips' has 2 values; it must have one; the label",
        ),
        (
            example_data.record(tips="much", fare=1),
            "its column 'tips', which the label is made from, is b'much'; it must be a n",
        ),
        (example_data.record(tips=1.0, fare=1.0), "its column 'fare' is 1.0, of another type than those before it"),
        (example_data.record(tips=1, fare=1), "its column 'tips' is 1, of another type than those before it"),
        (example_data.record(tips=float("nan"), fare=1), "its column 'tips', which the label is made from, is nan"),
        (example_data.record(tips=float("-inf"), fare=1), "its column 'tips', which the label is made from, is -inf"),
    ],
)
def test_a_record_without_the_numbers_of_its_label_is_named(tmp_path: Path, bad: bytes, says: str) -> None:
    records = [example_data.record(tips=number / 2, fare=number) for number in range(50)]
    records[30] = bad
    path = example_data.write_tfrecord(tmp_path / "in", records)
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
    assert contract_of(features, compared) == Contract(images=("a", "b"), numbers=("tips", "fare"))
    of_one = labels.validate_python({"kind": "binary", "from": "clicked"})
    assert contract_of({}, of_one) == Contract(images=(), numbers=("clicked",), classes=("no", "yes"))
    cut = labels.validate_python({"kind": "binary", "from": "clicked", "above": 3})
    assert contract_of({}, cut) == Contract(images=(), numbers=("clicked",))
    named = labels.validate_python({"kind": "class", "from": "label", "classes": ["x", "y"]})
    assert contract_of(features, named) == Contract(images=("a", "b"), label="label", classes=("x", "y"))
    tags = labels.validate_python({"kind": "multilabel", "from": "tags", "classes": ["dark", "light"]})
    assert contract_of({}, tags) == TAGGED
    by_column = labels.validate_python({"kind": "multilabel", "columns": ["sea", "sky"]})
    assert contract_of({}, by_column) == Contract(images=(), numbers=("sea", "sky"), indicators=True)
    path = example_data.write_tfrecord(
        tmp_path / "in", [example_data.record(tips=number / 2, fare=number) for number in range(99)]
    )
    ingested, _, listed = ingest_to(tmp_path / "out", job(path).model_copy(update={"contract": COMPARED}))
    assert ingested.kind == ColumnTypes(numbers=("float32", "int64")) and not listed


TAGGED = Contract(images=(), label="tags", several=True, classes=("dark", "light"))
EMPTY = {
    "string": tf.train.Feature(bytes_list=tf.train.BytesList()),
    "int64": tf.train.Feature(int64_list=tf.train.Int64List()),
    "float": tf.train.Feature(float_list=tf.train.FloatList()),
    "nothing": tf.train.Feature(),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (
            example_data.record(tags=example_data.feature("dark", "red")),
            "its label 'tags' is 'red', none of the classes dark, light",
        ),
        (
            example_data.record(tags=example_data.feature("dark", "")),
            "is b''; a class name is a line of UTF-8 text, and not empty",
        ),
        (
            example_data.record(tags=example_data.feature(b"light", b"caf\xe9")),
            "is b'caf\\xe9'; a class name is a line of UTF-8 text",
        ),
        (
            example_data.record(tags=example_data.feature(1, 0)),
            "its label 'tags' is 1, of another type than the labels before it",
        ),
        (
            example_data.record(tags=EMPTY["int64"]),
            "its label 'tags' is an empty list of type int64, of another type than the",
        ),
        (
            example_data.record(tags=example_data.feature(0.5, 1.0)),
            "its label 'tags' is the float 0.5; a class is an integer or a st",
        ),
        (
            example_data.record(tags=EMPTY["float"]),
            "its label 'tags' is an empty list of floats; a class is an integer or a",
        ),
    ],
)
def test_a_record_with_another_class_or_type_among_several_is_named(tmp_path: Path, bad: bytes, says: str) -> None:
    several = [
        example_data.feature("dark"),
        example_data.feature("light", "dark"),
        example_data.feature("dark", "dark"),
        EMPTY["string"],
    ]
    records = [example_data.record(id=number, tags=several[number % 4]) for number in range(50)]
    records[30] = bad
    path = example_data.write_tfrecord(tmp_path / "in", records)
    task = job(path).model_copy(update={"contract": TAGGED})
    with pytest.raises(DataError) as caught:
        ingest_to(tmp_path / "out", task)
    assert f"{path}: record 30 (counted from 0): " in str(caught.value) and says in str(caught.value)
    _, written, (entry,) = ingest_to(tmp_path / "aside", task.model_copy(update={"policy": "quarantine"}))
    assert written.pop(QUARANTINE) == [bad] and says in entry.reason
    assert sorted(itertools.chain.from_iterable(written.values())) == sorted(records[:30] + records[31:])


@pytest.mark.slow
@pytest.mark.usefixtures("in_no_python")
@pytest.mark.parametrize(
    ("first", "kind"),
    [(example_data.feature("dark"), "string"), (example_data.feature(1, 0), "int64"), (EMPTY["nothing"], "")],
)
def test_the_first_records_with_any_class_tell_the_type_of_several(tmp_path: Path, first, kind: str) -> None:
    records = [
        example_data.record(id=number, **({} if number % 2 else {"tags": EMPTY["nothing"]})) for number in range(40)
    ]
    records += [example_data.record(id=number, tags=first) for number in range(40, 99)]
    path = example_data.write_tfrecord(tmp_path / "in", records)
    ingested, written, listed = ingest_to(tmp_path / "out", job(path).model_copy(update={"contract": TAGGED}))
    assert ingested.kind == ColumnTypes(label=kind) and not listed
    assert sorted(itertools.chain.from_iterable(written.values())) == sorted(records)


several = (
    st.lists(st.integers(-1, 3), max_size=3)
    | st.lists(st.sampled_from(["dark", "light", "light", "x", "", "two\nlines", b"caf\xe9"]), max_size=3)
    | st.lists(st.floats(0, 1, width=32), min_size=1, max_size=2)
    | st.sampled_from(list(EMPTY))
)


def tagged(values: list | str) -> bytes:
    if isinstance(values, str):
        return example_data.record(tags=EMPTY[values])
    return example_data.record(tags=example_data.feature(*values)) if values else example_data.record(other=1)


@pytest.mark.slow
@given(
    st.lists(several, min_size=1, max_size=4),
    st.sampled_from([None, ("dark", "light")]),
    st.sampled_from(["int64", "string", [0, 1], ["dark"]]),
)
@settings(deadline=None)
def test_the_fast_check_of_several_classes_and_the_one_that_names_agree(rows: list, classes, first) -> None:
    contract = TAGGED.model_copy(update={"classes": classes})
    records = [tagged(values) for values in [first, *rows]]  # the first record determines the labels' dtype
    kind = kind_of(records[0], contract)
    sound = [find_fault(record, contract, kind) is None for record in records]
    assert sound[0]
    assert [_is_sound_alone(record, contract, kind) for record in records] == sound
    try:
        assert are_sound(tf.constant(records), contract, kind).numpy().tolist() == sound
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # the type of a column, which hides all other faults
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
    contract = contract_of({}, label)
    sound, item = (example_data.record(sea=number(each), sky=1) for each in (0, value))
    found = find_fault(item, contract, kind_of(sound, contract))
    assert (found is None) == (not fault) and fault in (found or "")
    checked = are_sound(tf.constant([sound, item]), contract, kind_of(sound, contract))
    assert checked.numpy().tolist() == [True, not fault]


finite = st.lists(st.integers(-9, 9), max_size=2) | st.lists(st.floats(width=32), max_size=2)


compared = st.fixed_dictionaries(
    {}, optional={"tips": finite, "fare": finite | st.lists(st.sampled_from(["", "x"]), max_size=2)}
)


@pytest.mark.slow
@given(st.lists(compared, min_size=1, max_size=4), st.sampled_from([0, 0.5]), st.sampled_from([1, 2.5]))
@settings(deadline=None)
def test_the_fast_check_of_numbers_and_the_one_that_names_agree(rows: list[dict], tips: float, fare: float) -> None:
    rows = [{"tips": [tips], "fare": [fare]}, *rows]  # the first record determines the dtypes
    records = [example_data.record(**{k: example_data.feature(*v) for k, v in row.items() if v}) for row in rows]
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
