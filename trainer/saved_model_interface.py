"""The interface of a SavedModel, read from its protos without TensorFlow, which `hubline check` must not import.

`hub_interface` reads the same with TensorFlow, and also what is rare: ragged and other composite tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hubline.trainer.module import Function, Module, Tensor, plain
from hubline.trainer.saved_model import SavedModel, dtype_name, shape_of

_TRAINING = "training"


class RareInterfaceError(Exception):
    """A SavedModel whose interface needs TensorFlow to be read."""


def interface_of(saved: SavedModel) -> Module:
    """The callables of a SavedModel.

    Raises:
        RareInterfaceError: if it has composite tensors.
    """
    traces = list(_traces(saved.graph.object_graph_def)) if saved.format == "TF2" else []
    inference = [each for each in traces if not each.is_for_training] or traces
    return Module(
        format=saved.format,
        tags=saved.tags if saved.format == "TF1" else None,
        calls=tuple(each.function for each in sorted(inference, key=lambda each: each.unusual)),
        signatures={
            name: Function(inputs=_of_infos(signature.inputs), outputs=_of_infos(signature.outputs))
            for name, signature in saved.graph.signature_def.items()
            if not name.startswith("__")
        },
        variables=saved.variables,
    )


@dataclass(frozen=True)
class _Trace:
    """One of the ways in which a module's `__call__` was traced."""

    arguments: Mapping[str, Any]
    """Values and tensors by parameter."""
    defaults: Mapping[str, Any]
    outputs: Any

    @property
    def is_for_training(self) -> bool:
        return self.arguments.get(_TRAINING) is True

    @property
    def unusual(self) -> int:
        """Number of arguments with values other than their defaults."""
        return sum(
            plain(value) != plain(self.defaults.get(name))
            for name, value in self.arguments.items()
            if name != _TRAINING and not _has_tensors(value)
        )

    @property
    def function(self) -> Function:
        told = {name: value for name, value in self.arguments.items() if name != _TRAINING}
        needed = [name for name, value in self.arguments.items() if _has_tensors(value) and not self._has_default(name)]
        inputs: dict[str, Tensor] = {}
        for name, value in told.items():
            label = (value.name or "inputs") if needed == [name] and isinstance(value, _Spec) else name
            inputs |= {key: leaf.tensor for key, leaf in _named(value, label) if isinstance(leaf, _Spec)}
        literals = {name: each for name, each in told.items() if each is not None and not _has_tensors(each)}
        defaults = {name: self.defaults[name] for name in told if name in inputs and self._has_default(name)}
        return Function(
            inputs=inputs,
            outputs={key: leaf.tensor for key, leaf in _named(self.outputs, "default") if isinstance(leaf, _Spec)},
            arguments={name: plain(value) for name, value in (literals | defaults).items()},
        )

    def _has_default(self, name: str) -> bool:
        return isinstance(self.defaults.get(name), bool | int | float | str | list | tuple)


@dataclass(frozen=True)
class _Spec:
    """A tensor of a structure."""

    name: str
    tensor: Tensor


def _traces(graph: Any) -> Iterator[_Trace]:
    numbers = [child.node_id for child in graph.nodes[0].children if child.local_name == "__call__"]
    for node in (graph.nodes[number] for number in numbers):
        if node.WhichOneof("kind") != "function":
            continue
        names, defaults = _parameters(node.function.function_spec)
        for name in node.function.concrete_functions:
            concrete = graph.concrete_functions[name]
            positional, named = _decoded(concrete.canonicalized_input_signature)
            padded = [*names, *(f"argument_{number}" for number in range(len(names), len(positional)))]
            arguments = dict(zip(padded, positional, strict=False)) | named
            yield _Trace(arguments, defaults, _decoded(concrete.output_signature))


def _parameters(spec: Any) -> tuple[list[str], dict[str, Any]]:
    """Names of positional parameters without `self`, and defaults by name."""
    full = _decoded(spec.fullargspec)
    names, defaults = full["args"], full["defaults"] or ()
    by_name = dict(zip(reversed(names), reversed(defaults), strict=False)) | (full["kwonlydefaults"] or {})
    return list(names[spec.is_method :]), by_name


def _decoded(value: Any) -> Any:
    """A `StructuredValue` in Python's types, with `_Spec` for a tensor."""
    kind = value.WhichOneof("kind")
    inner: Any = getattr(value, kind) if kind else None
    match kind:
        case "none_value" | None:
            return None
        case "float64_value" | "int64_value" | "string_value" | "bool_value":
            return inner
        case "tensor_spec_value" | "bounded_tensor_spec_value":
            return _Spec(inner.name, Tensor(dtype=dtype_name(inner.dtype), shape=shape_of(inner.shape)))
        case "list_value":
            return [_decoded(each) for each in inner.values]
        case "tuple_value":
            return tuple(_decoded(each) for each in inner.values)
        case "dict_value":
            return {key: _decoded(each) for key, each in inner.fields.items()}
        case "named_tuple_value":
            return {pair.key: _decoded(pair.value) for pair in inner.values}
        case "tensor_dtype_value":
            return dtype_name(inner)
        case _:
            raise RareInterfaceError(kind)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _leaves(value[key])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _has_tensors(value: Any) -> bool:
    return any(isinstance(leaf, _Spec) for leaf in _leaves(value))


def _named(value: Any, name: str, is_nested: bool = False) -> Iterator[tuple[str, Any]]:
    """Leaves with their names, as `saved_model_loader.names_of` names them."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _named(value[key], f"{name}/{key}" if is_nested else str(key), is_nested=True)
        return
    flat: Sequence[Any] = list(_leaves(value))
    names = [name] if len(flat) == 1 else [f"{name}_{number}" for number in range(len(flat))]
    yield from zip(names, flat, strict=True)


def _of_infos(infos: Mapping[str, Any]) -> dict[str, Tensor]:
    for info in infos.values():
        if info.WhichOneof("encoding") not in ("name", None):
            raise RareInterfaceError(info.WhichOneof("encoding"))
    return {
        name: Tensor(dtype=dtype_name(info.dtype), shape=shape_of(info.tensor_shape)) for name, info in infos.items()
    }
