"""The interface of a SavedModel, read from its protos. Nothing is loaded, so none of its code runs."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubline.trainer.adapters.tensorflow import decode_function_spec, decode_structure, decode_type_spec
from hubline.trainer.module import Function, Module, Tensor
from hubline.trainer.saved_model import SavedModel
from hubline.trainer.saved_model_loader import Trace, ordered, read_saved_model, tensor_of


@dataclass(frozen=True)
class _ConcreteFunction:
    structured_input_signature: Any
    structured_outputs: Any


def inspect_module(path: str) -> Module:
    """The interface of the module in a folder.

    Raises:
        UserError: if the folder contains no SavedModel.
    """
    return offered(read_saved_model(path))


def offered(saved: SavedModel) -> Module:
    """The interface of a module, equal to the one that `open_module` finds by loading it."""
    traces = tuple(_traces(saved.graph.object_graph_def)) if saved.format == "TF2" else ()
    return Module(
        format=saved.format,
        tags=saved.tags if saved.format == "TF1" else None,
        calls=tuple(trace.function for trace in ordered(traces)),
        signatures={
            name: _signature(signature)
            for name, signature in saved.graph.signature_def.items()
            if not name.startswith("__")
        },
        variables=saved.variables,
    )


def _traces(graph: Any) -> Iterator[Trace]:
    """Traces of the module's own `__call__`."""
    numbers = [child.node_id for child in graph.nodes[0].children if child.local_name == "__call__"]
    for node in (graph.nodes[number] for number in numbers):
        if node.WhichOneof("kind") != "function":
            continue
        signature = _parameters(node.function.function_spec)
        for name in node.function.concrete_functions:
            concrete = graph.concrete_functions[name]
            inputs, outputs = _decoded(concrete.canonicalized_input_signature), _decoded(concrete.output_signature)
            yield Trace(_ConcreteFunction(inputs, outputs), signature)


def _parameters(spec: Any) -> inspect.Signature:
    """The parameters of a function, without `self`."""
    args, is_method = decode_function_spec(spec.SerializeToString())
    defaults = dict(zip(reversed(args.args), reversed(args.defaults or ()), strict=False)) | (args.kwonlydefaults or {})
    sort = inspect.Parameter
    names: list[tuple[str, Any]] = [(name, sort.POSITIONAL_OR_KEYWORD) for name in args.args[is_method:]]
    names += [(args.varargs, sort.VAR_POSITIONAL)] if args.varargs else []
    names += [(name, sort.KEYWORD_ONLY) for name in args.kwonlyargs]
    names += [(args.varkw, sort.VAR_KEYWORD)] if args.varkw else []
    parameters = [sort(name, each, default=defaults.get(name, sort.empty)) for name, each in names]
    return inspect.Signature(parameters, __validate_parameters__=False)


def _decoded(value: Any) -> Any:
    """Decodes a structure from TensorBoard's copy of the message."""
    return decode_structure(value.SerializeToString())


def _signature(signature: Any) -> Function:
    return Function(inputs=_tensors(signature.inputs), outputs=_tensors(signature.outputs))


def _tensors(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: tensor_of(_spec(info)) for name, info in infos.items()}


def _spec(info: Any) -> tf.TypeSpec:
    """The type spec of a TensorInfo."""
    if info.WhichOneof("encoding") == "composite_tensor":  # for example a ragged tensor
        return decode_type_spec(info.composite_tensor.type_spec.SerializeToString())
    dims = (
        None
        if info.tensor_shape.unknown_rank
        else [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
    )
    dtype = tf.as_dtype(info.dtype).base_dtype
    return (tf.SparseTensorSpec if info.WhichOneof("encoding") == "coo_sparse" else tf.TensorSpec)(dims, dtype)
