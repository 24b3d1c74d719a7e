"""Messages of TensorFlow Serving's API as arrays and back."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.serving.errors import invalid
from hubline.serving.signature import Arrays, Signature

_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    **dict.fromkeys((tf.float16, tf.bfloat16), "half_val"),
    **dict.fromkeys((tf.int8, tf.uint8, tf.int16, tf.uint16, tf.int32), "int_val"),
}
"""Fields of a TensorProto for the dtypes whose values TensorFlow's Python packs into `tensor_content`."""


def arrays(tensors: Mapping[str, Any], most_bytes: float = math.inf) -> Arrays:
    """TensorProtos as arrays.

    Args:
        tensors: TensorProtos by name. One that has fewer values than its shape states repeats the last.
        most_bytes: Bound on the memory that the shapes state together.

    Raises:
        RequestError: if one is malformed, or they exceed the bound.
    """
    found, left = {}, most_bytes
    for name, tensor in tensors.items():
        try:
            left -= _bytes_of(tensor)
            if left < 0:
                raise invalid(f"input '{name}': the shapes of the inputs state more than {most_bytes:,} bytes")
            found[name] = _array(tensor)
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise invalid(f"input '{name}': not a TensorProto: {error}") from error
    return found


def _bytes_of(tensor: Any) -> int:
    dimensions = [dimension.size for dimension in tensor.tensor_shape.dim]
    if min(dimensions, default=0) < 0:
        raise ValueError(f"its shape is {dimensions}")
    return math.prod(dimensions) * np.dtype(tf.as_dtype(tensor.dtype).as_numpy_dtype).itemsize


def _array(tensor: Any) -> np.ndarray:
    array = tf.make_ndarray(tensor)
    if tensor.dtype == tf.string.as_datatype_enum and not tensor.string_val:
        return np.full(array.shape, b"", object)  # TensorFlow fills it with str
    return array


def tensor_of(array: np.ndarray) -> Any:
    """An array as a TensorProto with the values in the field of their type, as TensorFlow Serving answers.

    Clients read these fields: `response.outputs["scores"].float_val`.
    """
    tensor = tf.make_tensor_proto(array)
    field = _FIELDS.get(tf.as_dtype(tensor.dtype))
    if tensor.tensor_content and field:
        values = array.view(np.uint16) if field == "half_val" else array
        getattr(tensor, field).extend(values.ravel().tolist())
        tensor.ClearField("tensor_content")
    return tensor


def examples(message: Any) -> list[bytes]:
    """The serialized tf.Examples of an Input; a context's features are added to those of each example.

    Raises:
        RequestError: if there are none.
    """
    kind = message.WhichOneof("kind")
    if kind == "example_list":
        found = list(message.example_list.examples)
    elif kind == "example_list_with_context":
        context = message.example_list_with_context.context
        found = [with_context(each, context) for each in message.example_list_with_context.examples]
    else:
        found = []
    if not found:
        raise invalid("the request has no examples")
    return [each.SerializeToString() for each in found]


def with_context(example: Any, context: Any) -> Any:
    """A tf.Example with the features of the context, of which its own take precedence."""
    joined = tf.train.Example()
    joined.CopyFrom(context)
    for name, feature in example.features.feature.items():
        joined.features.feature[name].CopyFrom(feature)
    return joined


def serialized(signature: Signature, given: Sequence[bytes]) -> Arrays:
    """Serialized examples as the only input of a signature.

    Raises:
        RequestError: if the signature takes something else.
    """
    if len(signature.inputs) != 1 or next(iter(signature.inputs.values())).dtype != tf.string:
        raise invalid(f"signature '{signature.name}' takes no serialized examples")
    return {next(iter(signature.inputs)): np.array(given, object)}
