"""Tensors and examples in the JSON of TensorFlow Serving's REST API."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hubline.serving.errors import RequestError
from hubline.serving.json_examples import classifications, examples_of
from hubline.serving.json_tensors import inputs_of, parse, response
from hubline.serving.signature import PREDICT, Signature

NUMBERS = [tf.float32, tf.float64, tf.int8, tf.uint8, tf.int32, tf.int64, tf.bool]


def signature(**inputs: tf.DType) -> Signature:
    specs = {name: tf.TensorSpec(None, dtype, name) for name, dtype in inputs.items()}
    return Signature("serving_default", PREDICT, specs, (), dict)


@given(st.data())
def test_numbers_return_as_they_came_in_both_forms(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(NUMBERS))
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=3, max_side=3))
    values = data.draw(
        arrays.arrays(dtype.as_numpy_dtype, shape, elements={"allow_nan": False} if dtype.is_floating else None)
    )
    for as_rows, key in ((True, "predictions"), (False, "outputs")):
        said = json.loads(response({"x": values}, as_rows))[key]
        request = parse(json.dumps({"instances" if as_rows else "inputs": said}).encode())
        found, rows = inputs_of(request, signature(x=dtype))
        assert rows is as_rows
        np.testing.assert_array_equal(found["x"], values)
        assert found["x"].dtype == values.dtype


@given(st.lists(st.tuples(st.binary(), st.text()), min_size=1))
def test_strings_and_bytes_return_as_they_came(pairs: list[tuple[bytes, str]]) -> None:
    outputs = {
        "a_bytes": np.array([one for one, _ in pairs], object),
        "b": np.array([t.encode() for _, t in pairs], object),
    }
    rows = json.loads(response(outputs, as_rows=True))["predictions"]
    assert [base64.b64decode(row["a_bytes"]["b64"]) for row in rows] == [one for one, _ in pairs]
    assert [row["b"] for row in rows] == [text for _, text in pairs]
    found, _ = inputs_of({"instances": rows}, signature(a_bytes=tf.string, b=tf.string))
    assert {name: values.tolist() for name, values in found.items()} == {
        name: values.tolist() for name, values in outputs.items()
    }


def test_half_precision_and_numbers_that_are_not_finite() -> None:
    half = np.array([[0.1, math.inf]], tf.bfloat16.as_numpy_dtype)
    assert response({"x": half}, as_rows=True) == b'{"predictions": [[0.100097656, Infinity]]}'
    assert response({"x": np.float32([0.1])}, as_rows=False) == b'{"outputs":[0.1]}'
    assert math.isnan(parse(b'{"inputs": [NaN]}')["inputs"][0])


def test_an_output_without_rows_needs_columns() -> None:
    outputs = {"x": np.zeros([2, 3], np.int32), "total": np.int32(7)}
    with pytest.raises(RequestError, match="send the request with 'inputs'"):
        response(outputs, as_rows=True)
    assert json.loads(response(outputs, as_rows=False)) == {"outputs": {"x": [[0] * 3] * 2, "total": 7}}


@pytest.mark.parametrize("body", [b"", b"null", b"[", b'{"a": }', b"[" * 100_000, b"\xff", b'{"a": 1}{'])
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        parse(body)


texts = st.text(st.characters())  # with halves of surrogate pairs
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["b64", "x", "name"]) | texts, inner),
)


def nested(depth: int) -> Any:
    """A string in so many lists."""
    return ["a"] if depth == 1 else [nested(depth - 1)]


@given(json_values, st.sampled_from(["instances", "inputs"]), st.sampled_from([*NUMBERS, tf.string]))
@example("\ud800", "instances", tf.string)
@example(["\ud800"], "instances", tf.string)
@example(nested(40), "instances", tf.string)
@example(nested(40), "inputs", tf.int32)
def test_whatever_a_client_sends_is_read_or_refused(value: Any, key: str, dtype: tf.DType) -> None:
    for wanted in (signature(x=dtype), signature(x=dtype, name=tf.string)):
        try:
            inputs_of(parse(json.dumps({key: value}).encode()), wanted)
        except RequestError as error:
            assert error.http_status == 400


@pytest.mark.parametrize("depth", [33, 600, 900])
def test_lists_that_are_too_deep_are_refused(depth: int) -> None:
    lists = nested(depth)
    for key in ("inputs", "instances"):
        for dtype in (tf.string, tf.int32):
            with pytest.raises(RequestError):
                inputs_of(parse(json.dumps({key: lists}).encode()), signature(x=dtype))
    with pytest.raises(RequestError):
        examples_of(parse(json.dumps({"examples": [{"x": lists}]}).encode()))


@given(json_values)
@example({"x": "\ud800"})
@example({"\ud800": 1})
def test_whatever_examples_a_client_sends_are_read_or_refused(value: Any) -> None:
    for request in ({"examples": value}, {"examples": [value]}, {"examples": [{}], "context": value}):
        try:
            examples_of(parse(json.dumps(request).encode()))
        except RequestError as error:
            assert error.http_status == 400


def test_classes_must_be_strings() -> None:
    with pytest.raises(RequestError, match="the signature's classes must be strings, not int64"):
        classifications({"classes": np.array([[1, 2]])})


def test_types_of_features() -> None:
    given = {"a": 1, "b": [1.5, 2.0], "c": "x", "d": {"b64": "/w=="}, "e": [], "f": [2**62]}
    (serialized,) = examples_of({"examples": [given]})
    features = tf.train.Example.FromString(serialized).features.feature
    assert features["a"].int64_list.value == [1] and features["f"].int64_list.value == [2**62]
    assert features["b"].float_list.value == [1.5, 2.0]
    assert features["c"].bytes_list.value == [b"x"] and features["d"].bytes_list.value == [b"\xff"]
    for wrong in ([1, 1.5], [1, "a"], True, None, 2**63):
        with pytest.raises(RequestError):
            examples_of({"examples": [{"a": wrong}]})
