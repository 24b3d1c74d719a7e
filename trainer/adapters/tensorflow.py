"""Private parts of TensorFlow. Each says what is private and why it is needed; nothing else imports them.

`tensorflow_library` beside this module asks TensorFlow's C library, which must not import TensorFlow.
"""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2, saved_object_graph_pb2, struct_pb2
from tensorflow.python.autograph.core import config as autograph
from tensorflow.python.saved_model import nested_structure_coder
from tensorflow.python.trackable.resource import CapturableResource

AutoTrackable: type = tf.__internal__.tracking.AutoTrackable
"""Private: TensorFlow exports it under `__internal__` only. Its public subclass `tf.Module` defines `variables` and
`trainable_variables` as properties, and Keras would count a `tf.Module`'s variables a second time."""


def exclude_from_autograph(modules: Iterable[str]) -> None:
    """Keeps AutoGraph from converting functions of some modules, and of the modules below them.

    Private: AutoGraph's list of rules. The public `tf.autograph.experimental.do_not_convert` decorates one function at
    a time, and the functions of other libraries aren't ours to decorate.
    """
    rules = autograph.CONVERSION_RULES
    new = [name for name in modules if not any(rule.matches(name) for rule in rules)]
    autograph.CONVERSION_RULES = (*map(autograph.DoNotConvert, new), *rules)


def decode_structure(structured_value: bytes) -> Any:
    """The Python structure in a serialized `StructuredValue`, such as the signature of a function in a SavedModel.

    Private: the decoder. The public way is to load the SavedModel, which runs its code.
    """
    return nested_structure_coder.decode_proto(struct_pb2.StructuredValue.FromString(structured_value))


def decode_type_spec(type_spec: bytes) -> tf.TypeSpec:
    """The type that a serialized `TypeSpecProto` describes. Private for the same reason as `decode_structure`."""
    value = struct_pb2.StructuredValue()
    value.type_spec_value.ParseFromString(type_spec)
    return nested_structure_coder.decode_proto(value)


def decode_function_spec(function_spec: bytes) -> tuple[Any, bool]:
    """The `inspect.FullArgSpec` in a serialized `FunctionSpec`, and whether the function is a method.

    Private for the same reason as `decode_structure`; `tensorflow.core` holds the message.
    """
    spec = saved_object_graph_pb2.FunctionSpec.FromString(function_spec)
    return nested_structure_coder.decode_proto(spec.fullargspec), spec.is_method


def parse_saved_model(content: bytes) -> Any:
    """The `SavedModel` message in the content of a `saved_model.pb`; raises protobuf's DecodeError.

    Private: `tensorflow.core`. TensorFlow exports a loader of SavedModels, but not their message.
    """
    return saved_model_pb2.SavedModel.FromString(content)


def concrete_functions(loaded: Any) -> tuple[Any, ...]:
    """The traces of the `__call__` of a loaded SavedModel; none where it was not traced.

    Private: the class of restored functions, which has this attribute. The public API lists the traces of signatures
    only.
    """
    return tuple(getattr(loaded.__call__, "concrete_functions", ()))


def is_resource(value: Any) -> bool:
    """Whether a trackable object is a resource, such as a lookup table or what initializes the tables of a TF1 module.

    Private: the base class of all of them. `tf.lookup` exports some, and none that loading makes.
    """
    return isinstance(value, CapturableResource)
