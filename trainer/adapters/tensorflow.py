"""Private APIs of TensorFlow. Each item states what is private and why it is needed; nothing else imports them.

`tensorflow_library` uses TensorFlow's C library without importing TensorFlow.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2, saved_object_graph_pb2, struct_pb2, trackable_object_graph_pb2
from tensorflow.python.autograph.core import config as autograph
from tensorflow.python.framework import convert_to_constants
from tensorflow.python.saved_model import fingerprinting_utils, nested_structure_coder
from tensorflow.python.trackable.resource import CapturableResource

from hubline.core import storage

AutoTrackable: type = tf.__internal__.tracking.AutoTrackable
"""Private: TensorFlow exports it only under `__internal__`. Its public subclass `tf.Module` defines `variables` and
`trainable_variables` as properties, so Keras would count a `tf.Module`'s variables twice."""


def exclude_from_autograph(modules: Iterable[str]) -> None:
    """Keeps AutoGraph from converting the functions in some modules and their submodules.

    Private: AutoGraph's list of rules. The public `tf.autograph.experimental.do_not_convert` decorates a single
    function, which is impractical for functions of other libraries.
    """
    rules = autograph.CONVERSION_RULES
    new = [name for name in modules if not any(rule.matches(name) for rule in rules)]
    autograph.CONVERSION_RULES = (*map(autograph.DoNotConvert, new), *rules)


def decode_structure(structured_value: bytes) -> Any:
    """Decodes a serialized `StructuredValue`, such as the signature of a function in a SavedModel.

    Private: the decoder. The public alternative is to load the SavedModel, which runs its code.
    """
    return nested_structure_coder.decode_proto(struct_pb2.StructuredValue.FromString(structured_value))


def decode_type_spec(type_spec: bytes) -> tf.TypeSpec:
    """Decodes a serialized `TypeSpecProto`. Private for the same reason as `decode_structure`."""
    value = struct_pb2.StructuredValue()
    value.type_spec_value.ParseFromString(type_spec)
    return nested_structure_coder.decode_proto(value)


def decode_function_spec(function_spec: bytes) -> tuple[Any, bool]:
    """Decodes a serialized `FunctionSpec` to an `inspect.FullArgSpec`, and whether the function is a method.

    Private for the same reason as `decode_structure`; the message is in `tensorflow.core`.
    """
    spec = saved_object_graph_pb2.FunctionSpec.FromString(function_spec)
    return nested_structure_coder.decode_proto(spec.fullargspec), spec.is_method


def parse_saved_model(content: bytes) -> Any:
    """Parses the content of a `saved_model.pb` as a `SavedModel` message; raises protobuf's DecodeError.

    Private: `tensorflow.core`. TensorFlow exports a loader for SavedModels, but not their message.
    """
    return saved_model_pb2.SavedModel.FromString(content)


def set_method_names(path: str, methods: Mapping[str, str]) -> None:
    """Sets the method names of signatures of a SavedModel, by signature, and updates its fingerprint.

    Private: the message as for `parse_saved_model`, and the writer of fingerprints. `tf.saved_model.save` writes the
    method name of Predict requests for every signature, and TensorFlow Serving refuses other requests to it.
    """
    if not methods:
        return
    file = f"{path}/saved_model.pb"
    with storage.open_binary(file) as content:
        saved = parse_saved_model(content.read())
    (graph,) = saved.meta_graphs
    for signature, method in methods.items():
        graph.signature_def[signature].method_name = method
    storage.write_bytes(file, saved.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(path)


def parse_object_graph(content: bytes) -> Any:
    """Parses the object graph of a TF2 checkpoint as a `TrackableObjectGraph` message.

    Private: `tensorflow.core`. The public API lists the keys of a checkpoint, but not the names of its variables.
    """
    return trackable_object_graph_pb2.TrackableObjectGraph.FromString(content)


def freeze(function: Any) -> Any:
    """A concrete function with its variables as constants. Inputs of dtype resource stand for its tables.

    Private: the module. Public are only its uses in the TFLite converter, and a TF1 function for sessions.
    """
    return convert_to_constants.convert_variables_to_constants_v2(function)


def concrete_functions(loaded: Any) -> tuple[Any, ...]:
    """Traces of the `__call__` of a loaded SavedModel; empty if it was not traced.

    Private: the class of restored functions, which has this attribute. The public API lists the traces of signatures
    only.
    """
    return tuple(getattr(loaded.__call__, "concrete_functions", ()))


def is_resource(value: Any) -> bool:
    """Whether a trackable object is a resource, such as a lookup table or the table initializer of a TF1 module.

    Private: their common base class. `tf.lookup` exports only some of them, and none of those that loading creates.
    """
    return isinstance(value, CapturableResource)


class GraphInitializer(CapturableResource):
    """Fills the tables of a TF1 graph, here and wherever a SavedModel with it is loaded.

    Private: the base class, with its methods, by which TensorFlow saves and runs such initializers. The public
    `tf.lookup` creates tables of its own, while the graph already contains them.
    """

    def __init__(self, run: Callable[..., Any], files: Sequence[str]) -> None:
        """Args:
        run: Fills the tables, given the paths of files.
        files: The files.
        """
        super().__init__()
        # Whoever saves the initializer must track these too.
        self.assets = [tf.saved_model.Asset(file) for file in files]
        self._run = run

    def initialize(self) -> None:
        """Fills the tables."""
        self._run(*(file.asset_path for file in self.assets))

    def _create_resource(self) -> tf.Tensor:
        return tf.constant(0.0)  # the graph has its own resources, but TensorFlow saves a function that returns one

    def _initialize(self) -> None:
        self.initialize()


def rename_variables(path: str, names: Sequence[str]) -> None:
    """Names the variables of a reusable SavedModel, in the order of its list `variables`, and updates its fingerprint.

    Private: the message as for `parse_saved_model`, and the writer of fingerprints. A variable of Keras 3 is called
    `kernel` in every layer, its path being known to Keras only; fine-tuning selects variables by name.
    """
    file = f"{path}/saved_model.pb"
    saved = parse_saved_model(storage.read_bytes(file))
    (graph,) = saved.meta_graphs
    nodes = graph.object_graph_def.nodes
    (listed,) = (child.node_id for child in nodes[0].children if child.local_name == "variables")
    for child in nodes[listed].children:
        if child.local_name.isdecimal():
            nodes[child.node_id].variable.name = names[int(child.local_name)]
    storage.write_bytes(file, saved.SerializeToString(deterministic=True))
    fingerprinting_utils.write_fingerprint(path)
