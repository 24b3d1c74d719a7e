"""Splitting and joining serialized tf.Examples in batches, compared with protocol buffers in Python."""

import struct
from collections.abc import Mapping

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.preprocessing.examples import assemble, drop, encode, flattened, keep, piece
from tests.support import example_data

values = (
    st.lists(st.binary(max_size=5), min_size=1, max_size=3)
    | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3)
    | st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=3)
)
records = st.lists(
    st.dictionaries(st.sampled_from(["image", "label", "é", ""]), values, max_size=4), min_size=1, max_size=5
)


def columns(record: bytes) -> dict[str, list]:
    features = tf.train.Example.FromString(record).features.feature
    return {name: list(getattr(feature, feature.WhichOneof("kind")).value) for name, feature in features.items()}


@pytest.mark.slow
@given(records, st.sets(st.sampled_from(["image", "é", "", "absent"]), min_size=1))
@settings(deadline=None, max_examples=60)
def test_some_columns_stay_and_the_others_go(rows: list[dict], names: set[str]) -> None:
    serialized = [
        example_data.record(**{name: example_data.feature(*of_one) for name, of_one in row.items()}) for row in rows
    ]
    batch = tf.constant(serialized)
    for kept, dropped, row in zip(keep(batch, names).numpy(), drop(batch, names).numpy(), rows, strict=True):
        assert columns(kept) == {name: of_one for name, of_one in row.items() if name in names}
        assert columns(dropped) == {name: of_one for name, of_one in row.items() if name not in names}


def test_records_that_were_put_together_are_taken_apart_as_one() -> None:
    merged = tf.constant(
        [
            example_data.record(a=1, b="two") + example_data.record(c=3.0) + example_data.record(d=4),
            example_data.record(c=5.0),
            b"",
        ]
    )
    assert [columns(item) for item in keep(merged, ["a", "c"]).numpy()] == [{"a": [1], "c": [3.0]}, {"c": [5.0]}, {}]
    assert [columns(item) for item in drop(merged, ["b", "c"]).numpy()] == [{"a": [1], "d": [4]}, {}, {}]


def test_no_column_to_drop_leaves_all() -> None:
    record = example_data.record(a=1, b="two")
    assert columns(drop(tf.constant([record]), []).numpy()[0]) == {"a": [1], "b": [b"two"]}


def test_tensors_become_columns_and_are_merged_with_those_that_are_there() -> None:
    vectors = np.random.default_rng(0).normal(size=[3, 4]).astype(np.float32)
    more = encode({"vector": vectors_tensor(vectors), "n": tf.constant([[1], [2], [3]], tf.int64), "s": letters()})
    merged = tf.strings.join([tf.constant([example_data.record(a=number, s="old") for number in range(3)]), more])
    for number, record in enumerate(merged.numpy()):
        found = columns(record)
        assert found == {
            "a": [number],
            "n": [number + 1],
            "s": [b"xyz"[number : number + 1], b"!"],
            "vector": found["vector"],
        }
        np.testing.assert_array_equal(np.float32(found["vector"]), vectors[number])
    # TensorFlow's own parser reads the same.
    parsed = tf.io.parse_example(merged, {"vector": tf.io.FixedLenFeature([2, 2], tf.float32)})
    np.testing.assert_array_equal(parsed["vector"], vectors.reshape(3, 2, 2))


@pytest.mark.slow
@given(st.lists(st.tuples(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3), st.lists(st.binary(max_size=3)))))
@settings(deadline=None, max_examples=30)
def test_a_record_without_values_does_not_have_the_column(rows: list[tuple[list[int], list[bytes]]]) -> None:
    numbers = tf.RaggedTensor.from_row_lengths(
        tf.constant([n for row, _ in rows for n in row], tf.int64), [len(row) for row, _ in rows]
    )
    words = tf.RaggedTensor.from_row_lengths(
        tf.constant([word for _, row in rows for word in row], tf.string), [len(row) for _, row in rows]
    )
    found = assemble([piece("n", numbers), piece("é", words)]).numpy()
    assert [columns(record) for record in found] == [
        {name: values for name, values in (("n", of_numbers), ("é", of_words)) if values}
        for of_numbers, of_words in rows
    ]


FLATTENED = tf.function(flattened, [tf.TensorSpec([None], tf.string)], autograph=False)
NAMES = ["frames", "é", "a b", "ids"]
steps = (
    st.lists(st.lists(st.binary(max_size=200), max_size=3), max_size=4)
    | st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40), max_size=4)
    | st.lists(st.lists(st.floats(width=32, allow_nan=False), max_size=3), max_size=4)
)
sequences = st.fixed_dictionaries(
    {
        "context": st.dictionaries(st.sampled_from(["image", "label"]), values, max_size=2),
        "lists": st.dictionaries(st.sampled_from(NAMES), steps, max_size=4),
    }
)


def sequence(context: Mapping[str, list], lists: Mapping[str, list[list]]) -> bytes:
    message = tf.train.SequenceExample()
    for name, of_one in context.items():
        message.context.feature[name].CopyFrom(example_data.feature(*of_one))
    for name, of_steps in lists.items():
        message.feature_lists.feature_list[name].feature.extend(
            example_data.feature(*of_step) if of_step else tf.train.Feature() for of_step in of_steps
        )
    return message.SerializeToString()


def by_parser(record: bytes, name: str, dtype: tf.DType) -> list:
    """A column as TensorFlow's own parser reads it, which is stricter than protocol buffers."""
    parsed = tf.io.parse_example([record], {name: tf.io.RaggedFeature(dtype)})
    return parsed[name].values.numpy().tolist()


@given(st.lists(sequences, min_size=1, max_size=4))
@settings(deadline=None, max_examples=100)
@pytest.mark.slow
def test_steps_come_one_after_the_other(rows: list[dict]) -> None:
    batch = tf.constant([sequence(**row) for row in rows])
    for row, record, in_graph in zip(rows, flattened(batch).numpy(), FLATTENED(batch).numpy(), strict=True):
        joined = {name: [value for of_step in of_steps for value in of_step] for name, of_steps in row["lists"].items()}
        expected = row["context"] | {name: of_one for name, of_one in joined.items() if of_one}
        assert columns(record) == columns(in_graph) == expected
        for name, of_one in expected.items():
            dtype = {float: tf.float32, int: tf.int64, bytes: tf.string}[type(of_one[0])]
            assert by_parser(record, name, dtype) == of_one


@pytest.mark.slow
def test_examples_stay_as_they_are_also_among_sequences() -> None:
    record = example_data.record(a=1, b="two") + example_data.record(c=3.0)
    assert flattened(tf.constant([record, b""])).numpy().tolist() == [record, b""]
    some = flattened(tf.constant([record, sequence({}, {"x": [[1], [2]]}), b"", sequence({}, {"x": []})])).numpy()
    assert [columns(item) for item in some] == [{"a": [1], "b": [b"two"], "c": [3.0]}, {"x": [1, 2]}, {}, {}]
    for none in (flattened, FLATTENED):
        assert none(tf.zeros([0], tf.string)).shape == [0]


def test_records_of_no_columns_have_none_to_keep_or_drop() -> None:
    for each in (keep, drop):
        for count in (0, 2):
            assert [columns(item) for item in each(tf.fill([count], ""), ["a"]).numpy()] == [{}] * count


def message_of(field: int, content: bytes) -> bytes:
    assert len(content) < 128
    return bytes([field << 3 | 2, len(content)]) + content


FLOATS = {
    "packed": lambda numbers: message_of(1, struct.pack(f"<{len(numbers)}f", *numbers)),
    "unpacked": lambda numbers: b"".join(b"\x0d" + struct.pack("<f", number) for number in numbers),
    "in two runs": lambda numbers: FLOATS["packed"](numbers[:1]) + FLOATS["packed"](numbers[1:]),
    "half and half": lambda numbers: FLOATS["packed"](numbers[:1]) + FLOATS["unpacked"](numbers[1:]),
}
INTEGERS = {
    "packed": lambda numbers: message_of(1, bytes(numbers)),
    "unpacked": lambda numbers: b"".join(bytes([8, number]) for number in numbers),
}


@pytest.mark.parametrize(
    ("kind", "written", "numbers"),
    [(2, FLOATS[form], [[1.0, -2.5], [], [3.0]]) for form in FLOATS]
    + [(3, INTEGERS[form], [[1, 127], [], [0]]) for form in INTEGERS],
)
def test_numbers_are_read_however_they_are_written(kind: int, written, numbers: list[list]) -> None:
    features = b"".join(message_of(1, message_of(kind, written(of_step))) for of_step in numbers)
    record = message_of(2, message_of(1, message_of(1, b"x") + message_of(2, features)))
    expected = [number for of_step in numbers for number in of_step]
    # Also among others that are encoded differently.
    for batch in ([record], [sequence({}, {"x": [[7.0], [8.0]], "y": [[1, 2]]}), record]):
        (*_, flat) = flattened(tf.constant(batch)).numpy()
        assert columns(flat) == {"x": expected}
        assert by_parser(flat, "x", tf.float32 if kind == 2 else tf.int64) == expected


@pytest.mark.parametrize(
    "record", [sequence({"x": [1]}, {"x": [[1]]}), sequence({"x": [1]}, {"x": []}), sequence({}, {"x": [[1], [2.0]]})]
)
def test_what_would_be_two_columns_cannot_be_flattened(record: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        flattened(tf.constant([sequence({}, {"x": [[1]]}), record]))


def vectors_tensor(vectors: np.ndarray) -> tf.Tensor:
    return tf.constant(vectors)


def letters() -> tf.Tensor:
    return tf.constant([["x", "!"], ["y", "!"], ["z", "!"]])
