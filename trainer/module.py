"""What a TensorFlow Hub module offers, read from its SavedModel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import tensorflow as tf
from pydantic import Field
from tensorflow.core.framework import variable_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from preprocessing.config import Feature, Features
from preprocessing.errors import UserError
from preprocessing.kinds.image import ImageFeature
from preprocessing.section import Section
from trainer.config import Hub


class Tensor(Section):
    """A tensor's dtype and shape; None stands for a dimension that may vary, no shape for an unknown rank."""

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """For example `float32[?, 224, 224, 3]`."""
        if self.shape is None:
            return f"{self.dtype}[...]"
        return f"{self.dtype}[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


class Variable(Section):
    """A variable of a module."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    trainable: bool


class Function(Section):
    """Something of a module that can be called: its inputs and outputs by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    takes: Literal["tensor", "mapping", "other"] = "mapping"
    """Whether it is called with one tensor, with tensors by name, or in a way that nothing here can."""


class Module(Section):
    """What a module offers."""

    format: Literal["TF1", "TF2"]
    tags: tuple[str, ...] | None = None
    """The tags of the meta graph to load; None for a TF2 SavedModel, which has one."""
    calls: tuple[Function, ...] = ()
    """The module itself, where it can be called (a TF2 reusable SavedModel): one for each shape it was traced with."""
    signatures: dict[str, Function] = Field(default_factory=dict)
    variables: tuple[Variable, ...] = ()

    def functions(self, hub: Hub) -> tuple[Function, ...]:
        """What `hub` calls: the named signature, the module itself, or the one signature there is.

        Raises:
            UserError: where the module has no such thing.
        """
        name = signature_name(self, hub)
        if name is None and self.calls:
            return self.calls
        if name not in self.signatures:
            offered = ", ".join(sorted(self.signatures)) or "none"
            wanted = f"no signature '{name}'" if name else "nothing to call and several signatures"
            raise UserError(f"the module has {wanted}; its signatures are: {offered}")
        return (self.signatures[name],)

    def function(self, hub: Hub, features: Features) -> Function:
        """What `hub` calls, of several traces the first that fits the features.

        Raises:
            UserError: where none fits; says why the first does not.
        """
        functions = self.functions(hub)
        faults = [_fault(function, hub, features) for function in functions]
        fitting = next((function for function, fault in zip(functions, faults, strict=True) if fault is None), None)
        if fitting is None:
            others = [_listed(function.inputs) for function in functions[1:]]
            raise UserError(f"{faults[0]}" + (f"; it also takes {'; '.join(others)}" if others else ""))
        return fitting


def signature_name(module: Module, hub: Hub) -> str | None:
    """The signature that `hub` calls; None for the module itself."""
    if hub.signature or module.calls:
        return hub.signature
    for usual in ("default", "serving_default"):
        if usual in module.signatures:
            return usual
    return next(iter(module.signatures)) if len(module.signatures) == 1 else None


def output_name(function: Function, hub: Hub) -> str:
    """The name of the output that `hub` uses.

    Raises:
        UserError: where the function has no such output.
    """
    if hub.output in function.outputs:
        return hub.output
    if hub.output == "default" and len(function.outputs) == 1:
        return next(iter(function.outputs))
    raise UserError(f"the module has no output '{hub.output}'; its outputs are: {', '.join(sorted(function.outputs))}")


def check_fits(module: Module, hub: Hub, features: Features) -> None:
    """Makes sure that a module can be fed from the features and that a head can stand on its output.

    Raises:
        UserError: where a signature, an input or an output is missing, or a shape or dtype does not fit.
    """
    function = module.function(hub, features)
    name = output_name(function, hub)
    output = function.outputs[name]
    vector = output.shape is None or (len(output.shape) == 2 and output.shape[1] is not None)
    if not (vector and tf.as_dtype(output.dtype).is_floating):
        raise UserError(
            f"the module's output '{name}' is {output}, but a head needs a vector of floats for each example, [?, n]; "
            f"the outputs are: {_listed(function.outputs)}"
        )


def _fault(function: Function, hub: Hub, features: Features) -> str | None:
    """Why a function cannot be fed as `hub` says; None where it can."""
    if function.takes == "other":
        return "the module takes a list or several arguments; only one tensor, a mapping, or a signature can be fed"
    if len(function.inputs) == 1 and len(hub.inputs) == 1:
        pairs = list(zip(function.inputs, hub.inputs.values(), strict=True))
    else:
        unknown, unfed = sorted(hub.inputs.keys() - function.inputs), sorted(function.inputs.keys() - hub.inputs)
        if unknown or unfed:
            wrong = f"has no input '{unknown[0]}'" if unknown else f"has an input '{unfed[0]}' that no feature feeds"
            return f"the module {wrong}; its inputs are: {_listed(function.inputs)}"
        pairs = list(hub.inputs.items())
    for name, feature_name in pairs:
        wanted, given = function.inputs[name], _given(features[feature_name])
        if not _compatible(wanted, given):
            return (
                f"the module's input '{name}' takes {wanted}, but the feature '{feature_name}' gives {given}"
                f"{_better_size(wanted)}"
            )
    return None


def _given(feature: Feature) -> Tensor:
    """What a feature gives a module."""
    if isinstance(feature, ImageFeature):
        return Tensor(dtype="float32", shape=(None, *feature.size, feature.channels))
    return Tensor(dtype="string", shape=(None,))


def _better_size(wanted: Tensor) -> str:
    shape = wanted.shape
    if wanted.dtype != "float32" or shape is None or len(shape) != 4 or None in shape[1:] or shape[0] is not None:
        return ""
    return f"; give the feature size: [{shape[1]}, {shape[2]}] and channels: {shape[3]}"


def _listed(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in sorted(tensors.items())) or "none"


def _compatible(wanted: Tensor, given: Tensor) -> bool:
    # A fixed batch is compatible with an unknown one in TensorFlow's eyes, but batches here are of any size.
    any_batch = not wanted.shape or wanted.shape[0] is None
    shapes = tf.TensorShape(wanted.shape), tf.TensorShape(given.shape)
    return wanted.dtype == given.dtype and any_batch and shapes[0].is_compatible_with(shapes[1])


@dataclass(frozen=True)
class OpenModule:
    """A module that has been read, and need not be read again to be called."""

    path: str
    offer: Module
    loaded: Any | None
    """What TensorFlow made of it where it can be called itself; None where only its path can be handed on."""


def inspect(path: str) -> Module:
    """What the module in a folder offers; arguments and errors as for `open_module`."""
    return open_module(path).offer


def open_module(path: str) -> OpenModule:
    """Reads a module.

    Args:
        path: A folder with a SavedModel: a TF2 one, or a TF1 hub module.

    Raises:
        UserError: where the folder holds no SavedModel that TensorFlow can load.
    """
    proto_file = f"{path}/saved_model.pb"
    if not tf.io.gfile.exists(proto_file):
        raise UserError(f"{path}: not a SavedModel: there is no saved_model.pb in it")
    saved_model = saved_model_pb2.SavedModel()
    try:
        with tf.io.gfile.GFile(proto_file, "rb") as file:
            saved_model.ParseFromString(file.read())
    except Exception as error:  # the protobuf versions of the two stacks raise different types
        raise UserError(f"{proto_file}: not a SavedModel: {error}") from error
    if not any(graph.HasField("object_graph_def") for graph in saved_model.meta_graphs):
        return OpenModule(path, _inspect_tf1(saved_model), None)
    try:
        loaded = tf.saved_model.load(path)
    except (tf.errors.OpError, OSError, ValueError, FileNotFoundError) as error:
        raise UserError(f"{path}: TensorFlow cannot load this SavedModel: {error}") from error
    return OpenModule(path, _inspect_tf2(loaded, saved_model), loaded if callable(loaded) else None)


def _inspect_tf2(loaded: Any, saved_model: saved_model_pb2.SavedModel) -> Module:
    return Module(
        format="TF2",
        calls=_calls(loaded),
        signatures={name: _signature(function) for name, function in loaded.signatures.items()},
        variables=tuple(_variables(loaded) or _saved_variables(saved_model)),
    )


def _variables(loaded: Any) -> list[Variable]:
    """The variables that a module says it has, as reusable SavedModels do."""
    trainable = {id(variable) for variable in getattr(loaded, "trainable_variables", ())}
    return [
        Variable(
            name=variable.name.partition(":")[0],
            dtype=variable.dtype.name,
            shape=_shape(variable.shape),
            trainable=id(variable) in trainable,
        )
        for variable in getattr(loaded, "variables", ())
    ]


def _saved_variables(saved_model: saved_model_pb2.SavedModel) -> list[Variable]:
    """All variables that a SavedModel holds."""
    nodes = saved_model.meta_graphs[0].object_graph_def.nodes
    saved = [node.variable for node in nodes if node.WhichOneof("kind") == "variable"]
    return [
        Variable(
            name=variable.name,
            dtype=tf.as_dtype(variable.dtype).name,
            shape=_shape(tf.TensorShape(variable.shape)),
            trainable=variable.trainable,
        )
        for variable in saved
    ]


def _shape(shape: tf.TensorShape) -> tuple[int | None, ...] | None:
    return None if shape.rank is None else tuple(shape.as_list())


def _calls(loaded: Any) -> tuple[Function, ...]:
    traces = getattr(loaded.__call__, "concrete_functions", ()) if callable(loaded) else ()
    # Where the module was traced for training too, the traces for inference say what serving will see.
    inference = [trace for trace in traces if not _is_for_training(trace)] or traces
    return tuple(_call(trace) for trace in inference)


def _is_for_training(trace: Any) -> bool:
    positional, named = trace.structured_input_signature
    return named.get("training") is True or any(argument is True for argument in positional)


def _call(trace: Any) -> Function:
    positional, named = trace.structured_input_signature
    arguments = [argument for argument in (*positional, *named.values()) if _is_tensors(argument)]
    first = arguments[0] if arguments else {}
    takes: Literal["tensor", "mapping", "other"] = "other"
    if len(arguments) == 1:
        takes = "tensor" if isinstance(first, tf.TensorSpec) else "mapping" if isinstance(first, Mapping) else "other"
    name = (first.name if isinstance(first, tf.TensorSpec) else None) or "inputs"
    inputs = _tensors(first if len(arguments) <= 1 else arguments, name)
    return Function(inputs=inputs, outputs=_tensors(trace.structured_outputs, "default"), takes=takes)


def _is_tensors(argument: Any) -> bool:
    flat = tf.nest.flatten(argument)
    return bool(flat) and all(isinstance(item, tf.TensorSpec) for item in flat)


def _signature(function: Any) -> Function:
    return Function(
        inputs=_tensors(function.structured_input_signature[1], "inputs"),
        outputs=_tensors(function.structured_outputs, "default"),
    )


def _tensors(structure: Any, name: str) -> dict[str, Tensor]:
    return {key: _tensor(spec) for key, spec in by_name(structure, name).items() if isinstance(spec, tf.TensorSpec)}


def by_name(structure: Any, name: str) -> dict[str, Any]:
    """The tensors of what a module takes or gives, each under the name that inspection shows and `output` names.

    Args:
        structure: A tensor, a mapping or a list, nested or not.
        name: What a single tensor is called; those of a list are numbered after it, those of a mapping have their keys,
            joined by `/` where it is nested.
    """
    if isinstance(structure, Mapping):
        found: dict[str, Any] = {}
        for key, value in structure.items():
            nested = isinstance(value, Mapping | list | tuple)
            inner = by_name(value, str(key)) if nested else {str(key): value}
            found |= {f"{key}/{part}" if isinstance(value, Mapping) else part: item for part, item in inner.items()}
        return found
    flat = tf.nest.flatten(structure)
    return {name: flat[0]} if len(flat) == 1 else {f"{name}_{index}": item for index, item in enumerate(flat)}


def _tensor(spec: Any) -> Tensor:
    return Tensor(dtype=spec.dtype.name, shape=_shape(spec.shape))


def _inspect_tf1(saved_model: saved_model_pb2.SavedModel) -> Module:
    # Hub modules keep their inference graph under the empty set of tags, other TF1 SavedModels under "serve".
    graphs = {frozenset(graph.meta_info_def.tags): graph for graph in saved_model.meta_graphs}
    graph = graphs.get(frozenset()) or graphs.get(frozenset({"serve"})) or saved_model.meta_graphs[0]
    trainable = {variable.variable_name for variable in _collection(graph, "trainable_variables")}
    return Module(
        format="TF1",
        tags=tuple(graph.meta_info_def.tags),
        signatures={
            name: Function(inputs=_tensor_infos(signature.inputs), outputs=_tensor_infos(signature.outputs))
            for name, signature in graph.signature_def.items()
            if not name.startswith("__")
        },
        variables=tuple(_tf1_variable(graph, variable, trainable) for variable in _collection(graph, "variables")),
    )


def _collection(graph: meta_graph_pb2.MetaGraphDef, name: str) -> list[variable_pb2.VariableDef]:
    values = graph.collection_def[name].bytes_list.value if name in graph.collection_def else ()
    return [variable_pb2.VariableDef.FromString(value) for value in values]


def _tf1_variable(
    graph: meta_graph_pb2.MetaGraphDef, variable: variable_pb2.VariableDef, trainable: set[str]
) -> Variable:
    name = variable.variable_name.partition(":")[0]
    node = next((node for node in graph.graph_def.node if node.name == name), None)
    dtype = tf.as_dtype(node.attr["dtype"].type).name if node else "unknown"
    shape = tf.TensorShape(node.attr["shape"].shape) if node else tf.TensorShape(None)
    return Variable(
        name=name,
        dtype=dtype,
        shape=_shape(shape),
        trainable=variable.variable_name in trainable,
    )


def _tensor_infos(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        name: _tensor(tf.TensorSpec(tf.TensorShape(info.tensor_shape), tf.as_dtype(info.dtype)))
        for name, info in infos.items()
    }
