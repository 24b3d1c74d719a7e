"""TensorProtos of TensorFlow Serving's gRPC API as arrays and back."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubline.serving.errors import RequestError
from hubline.serving.protos import arrays, tensor_of

FIELDS = {
    "float_val": [tf.float32],
    "double_val": [tf.float64],
    "half_val": [tf.float16, tf.bfloat16],
    "int64_val": [tf.int64],
    "uint32_val": [tf.uint32],
    "uint64_val": [tf.uint64],
    "int_val": [tf.int8, tf.uint8, tf.int16, tf.uint16, tf.int32],
    "bool_val": [tf.bool],
}


def proto(dtype: tf.DType, *shape: int, **values: Any) -> Any:
    tensor = tf.make_tensor_proto(0, dtype=tf.int32)
    tensor.Clear()
    tensor.dtype = dtype.as_datatype_enum
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    for name, given in values.items():
        getattr(tensor, name).extend(given)
    return tensor


@pytest.mark.parametrize(
    ("field", "dtype"), [(field, dtype) for field, dtypes in FIELDS.items() for dtype in dtypes], ids=str
)
def test_values_are_in_the_field_of_their_type(field: str, dtype: tf.DType) -> None:
    array = np.array([[0, 1, 2], [3, 4, 0]]).astype(dtype.as_numpy_dtype)
    for given in (array, array.T, array[:1, :1], array[:0]):
        tensor = tensor_of(given)
        assert not tensor.tensor_content
        if field != "half_val":
            assert list(getattr(tensor, field)) in (given.ravel().tolist(), [])
        found = tf.make_ndarray(tensor)
        np.testing.assert_array_equal(found, given)
        assert found.dtype == given.dtype
    assert len(getattr(tensor_of(array), field)) == array.size


def test_a_shape_may_state_no_more_than_a_message_may_have() -> None:
    few = proto(tf.float32, 5, 2, float_val=[1.5])
    np.testing.assert_array_equal(arrays({"x": few}, 40)["x"], np.full([5, 2], 1.5, np.float32))
    for inputs in ({"x": few}, {"x": proto(tf.int8, 30), "y": proto(tf.bool, 30)}):
        with pytest.raises(RequestError, match="the shapes of the inputs state more than 39 bytes"):
            arrays(inputs, 39)
    for huge in (proto(tf.float32, 10**9, 2, float_val=[1]), proto(tf.string, 2**62, 2**62)):
        with pytest.raises(RequestError, match="state more than 64,000,000 bytes"):
            arrays({"x": huge}, 64_000_000)


def test_strings_that_are_left_out_are_empty() -> None:
    assert arrays({"x": proto(tf.string, 2)})["x"].tolist() == [b"", b""]
    assert arrays({"x": proto(tf.string, 3, string_val=[b"a", b"b"])})["x"].tolist() == [b"a", b"b", b"b"]


@pytest.mark.parametrize(
    "wrong",
    [
        proto(tf.float32, -1, -1),
        proto(tf.float32, 2, float_val=[1, 2, 3]),
        proto(tf.string, 1, string_val=[b"a", b"b"]),
        proto(tf.variant, 1),
        tf.make_tensor_proto([1]).__class__(dtype=999),
    ],
)
def test_a_malformed_tensor_is_refused(wrong: Any) -> None:
    with pytest.raises(RequestError, match="input 'x': not a TensorProto"):
        arrays({"x": wrong}, 1000)
