"""Serialized tf.Examples taken apart and put together in batches, against protocol buffers in Python."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from preprocessing.examples import assemble, drop, encode, keep, piece
from tests import make

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


@given(records, st.sets(st.sampled_from(["image", "é", "", "absent"]), min_size=1))
@settings(deadline=None, max_examples=60)
def test_some_columns_stay_and_the_others_go(rows: list[dict], names: set[str]) -> None:
    serialized = [make.record(**{name: make.feature(*of_one) for name, of_one in row.items()}) for row in rows]
    batch = tf.constant(serialized)
    for kept, dropped, row in zip(keep(batch, names).numpy(), drop(batch, names).numpy(), rows, strict=True):
        assert columns(kept) == {name: of_one for name, of_one in row.items() if name in names}
        assert columns(dropped) == {name: of_one for name, of_one in row.items() if name not in names}


def test_records_that_were_put_together_are_taken_apart_as_one() -> None:
    merged = tf.constant([make.record(a=1, b="two") + make.record(c=3.0) + make.record(d=4), make.record(c=5.0), b""])
    assert [columns(item) for item in keep(merged, ["a", "c"]).numpy()] == [{"a": [1], "c": [3.0]}, {"c": [5.0]}, {}]
    assert [columns(item) for item in drop(merged, ["b", "c"]).numpy()] == [{"a": [1], "d": [4]}, {}, {}]


def test_no_column_to_drop_leaves_all() -> None:
    record = make.record(a=1, b="two")
    assert columns(drop(tf.constant([record]), []).numpy()[0]) == {"a": [1], "b": [b"two"]}


def test_tensors_become_columns_and_are_merged_with_those_that_are_there() -> None:
    vectors = np.random.default_rng(0).normal(size=[3, 4]).astype(np.float32)
    more = encode({"vector": vectors_tensor(vectors), "n": tf.constant([[1], [2], [3]], tf.int64), "s": letters()})
    merged = tf.strings.join([tf.constant([make.record(a=number, s="old") for number in range(3)]), more])
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


def vectors_tensor(vectors: np.ndarray) -> tf.Tensor:
    return tf.constant(vectors)


def letters() -> tf.Tensor:
    return tf.constant([["x", "!"], ["y", "!"], ["z", "!"]])
