"""The rules of records: TensorFlow's mask and the words for a person reject the same records."""

import math

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubline.components.example_gen.contract import Boxes, ColumnTypes, Contract
from hubline.components.example_gen.record_checks import are_sound, find_fault, rules_of
from tests.support import example_data

PNG = bytes(tf.io.encode_png(tf.zeros([2, 2, 1], tf.uint8)).numpy())
RGB = bytes(tf.io.encode_png(tf.zeros([2, 2, 3], tf.uint8)).numpy())
CLASSES = ("cat", "dog", "été")

CONTRACTS = {
    "images": (Contract(images=("a", "b"), clips=("b",)), ColumnTypes()),
    "masks": (Contract(images=("a",), masks=("b",)), ColumnTypes()),
    "names": (Contract(images=(), label="a", classes=CLASSES), ColumnTypes(label="string")),
    "any names": (Contract(images=(), label="a"), ColumnTypes(label="string")),
    "indices": (Contract(images=(), label="a", classes=CLASSES), ColumnTypes()),
    "several": (Contract(images=(), label="a", classes=CLASSES, several=True), ColumnTypes(label="string")),
    "numbers": (Contract(images=(), numbers=("a", "b")), ColumnTypes(numbers=("float32", "int64"))),
    "one of two names": (Contract(images=(), numbers=("a",), classes=CLASSES[1:]), ColumnTypes(numbers=("string",))),
    "a number for names": (Contract(images=(), numbers=("a",), classes=CLASSES[1:]), ColumnTypes(numbers=("int64",))),
    "positive": (Contract(images=(), numbers=("a",), positive=True), ColumnTypes(numbers=("float32",))),
    "indicators": (Contract(images=(), numbers=("a", "b"), indicators=True), ColumnTypes(numbers=("int64", "float32"))),
    "boxes": (
        Contract(images=(), label="a", classes=CLASSES, several=True, boxes=Boxes(sides=("b",))),
        ColumnTypes(label="string", numbers=("float32",)),
    ),
    "boxes in pixels": (
        Contract(
            images=(), label="a", classes=CLASSES, several=True, boxes=Boxes(sides=tuple("bcde"), size=("f", "g"))
        ),
        ColumnTypes(label="int64", numbers=("float32",) * 4 + ("int64", "float32")),
    ),
}

SOUND: dict[str, dict[str, list]] = {
    "images": {"a": [RGB], "b": [PNG, RGB]},
    "masks": {"a": [RGB], "b": [PNG]},
    "names": {"a": [b"cat"]},
    "any names": {"a": [b"cow"]},
    "indices": {"a": [2]},
    "several": {"a": [b"cat", b"dog"]},
    "numbers": {"a": [0.5], "b": [3]},
    "one of two names": {"a": ["été".encode()]},
    "a number for names": {"a": [7]},
    "positive": {"a": [0.25]},
    "indicators": {"a": [1], "b": [0.0]},
    "boxes": {"a": [b"cow", b"dog"], "b": [0.0, 0.25, 0.5, 1.0] * 2},
    "boxes in pixels": {"a": [1], "b": [0.0], "c": [1.0], "d": [8.0], "e": [4.0], "f": [8], "g": [4.0]},
}

NAMES = st.sampled_from([b"cat", b"dog", "été".encode(), b"cow", b"", b"two\nlines", b"\xff\xfe"])
INDICES = st.sampled_from([-1, 0, 1, 2, 3, 2**40])
FLOATS = st.sampled_from([0.0, 1.0, 0.25, 0.5, -0.005, 1.005, 1.5, 7.0, -1.0, 1e-40, math.nan, math.inf])
ENCODED = st.sampled_from([PNG, RGB, PNG[:20], b"BM", b"GIF8 and more", b"\xff\xd8\xff", b""])


def column(values: st.SearchStrategy, most: int = 2) -> st.SearchStrategy:
    return st.lists(values, min_size=1, max_size=1) | st.lists(values, max_size=most)


@st.composite
def records(draw: st.DrawFn, contract: Contract, kind: ColumnTypes) -> dict[str, list]:
    """Columns of a record, mostly of the right types and counts."""
    own = {name: column(ENCODED) for name in (*contract.images, *contract.masks)}
    numbers = dict(zip(contract.typed, kind.numbers, strict=True))
    own |= {
        name: column({"float32": FLOATS, "int64": INDICES, "string": NAMES}[dtype]) for name, dtype in numbers.items()
    }
    if contract.label:
        own[contract.label] = column(NAMES if kind.label == "string" else INDICES)
    if contract.boxes:
        objects = draw(st.integers(0, 2))
        own[contract.label] = st.lists(NAMES if kind.label == "string" else INDICES, min_size=objects, max_size=objects)
        per_object = 4 // len(contract.boxes.sides)
        places = FLOATS | st.floats(-0.125, 8, width=32)
        for number, name in enumerate(contract.boxes.sides):
            right = [0.0, 0.25, 0.5, 1.0] if per_object == 4 else [1.0 if number < 2 else 2.5]
            any_places = st.lists(places, min_size=per_object * objects, max_size=per_object * objects)
            own[name] = st.just(right * objects) | any_places
        own |= {name: st.just([8 if numbers[name] == "int64" else 4.0]) for name in contract.boxes.size}
    anything = column(NAMES) | column(INDICES) | column(FLOATS) | column(ENCODED)
    odd = draw(st.sampled_from([None, None, None, *own]))
    drawn = {name: draw(anything if name == odd else values) for name, values in own.items()}
    left_out = draw(st.sampled_from([None, None, None, *own]))
    return {name: values for name, values in drawn.items() if name != left_out}


def is_sound(record: bytes, contract: Contract, kind: ColumnTypes) -> bool:
    try:
        return bool(are_sound(tf.constant([record]), contract, kind)[0])
    except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # a column of another type
        return False


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTRACTS)
def test_mask_and_words_reject_the_same_records(name: str) -> None:
    contract, kind = CONTRACTS[name]
    verdicts = set()

    @settings(max_examples=150, deadline=None, derandomize=True)
    @example(SOUND[name])
    @example({})
    @given(records(contract, kind))
    def agree(columns: dict[str, list]) -> None:
        features = {name: example_data.feature(*v) if v else tf.train.Feature() for name, v in columns.items()}
        record = example_data.record(**features)
        fault = find_fault(record, contract, kind)
        assert is_sound(record, contract, kind) == (fault is None), fault
        assert fault is None or any(column in fault for column in "abcdefg")
        verdicts.add(fault is None)

    agree()
    assert verdicts == {True, False}


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_column_of_a_contract_has_a_rule(name: str) -> None:
    contract, kind = CONTRACTS[name]
    ruled = {column for rule in rules_of(contract) for column in rule.dtypes(kind.dtypes(contract))}
    label = (contract.label,) if contract.label else ()
    assert ruled == {*contract.images, *contract.masks, *contract.typed, *label}
