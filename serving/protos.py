"""Messages of TensorFlow Serving's API as arrays and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.serving.errors import invalid
from hubline.serving.signature import Arrays, Signature


def arrays(tensors: Mapping[str, Any]) -> Arrays:
    """TensorProtos as arrays.

    Raises:
        RequestError: if one is malformed.
    """
    found = {}
    for name, tensor in tensors.items():
        try:
            found[name] = tf.make_ndarray(tensor)
        except (TypeError, ValueError, KeyError) as error:
            raise invalid(f"input '{name}': not a TensorProto: {error}") from error
    return found


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
