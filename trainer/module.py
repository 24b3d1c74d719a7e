"""The interface of a TensorFlow Hub module: its callables, their inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from pydantic import Field

from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.core.lazy_import import tf
from hubline.trainer.config.hubs import Hub
from hubline.trainer.saved_model import Variable, usual_signature

Shape: TypeAlias = tuple[int | None, ...] | None

_FLOATS = frozenset({"bfloat16", "float16", "float32", "float64"}) | {
    "float8_e4m3fn",
    "float8_e5m2",
}
_NUMBERS = _FLOATS | {"bool", "int4", "uint4", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
"""Dtypes by name, as TensorFlow's `is_floating` and `is_integer` say; not those of ragged and other tensors. Hubline
knows them without TensorFlow, which `hubline check` must not import."""


class Tensor(Section):
    """Dtype and shape of a tensor. None is a dimension of any size; no shape at all means unknown rank."""

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """For example `float32[?, 224, 224, 3]`."""
        if self.shape is None:
            return f"{self.dtype}[...]"
        return f"{self.dtype}[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


class Function(Section):
    """A callable of a module, with inputs and outputs by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    arguments: dict[str, Any] = {}
    """Default arguments: the values it was traced with, and defaults of inputs."""

    def feeds(self, hub: Hub) -> dict[str, str]:
        """The feature that feeds each input, according to `hub`. A single input may have any name there."""
        open_ = self.inputs.keys() - self.arguments.keys() - hub.arguments.keys()
        if len(hub.inputs) == len(open_) == 1:
            return dict(zip(open_, hub.inputs.values(), strict=True))
        return dict(hub.inputs)


class Module(Section):
    """The interface of a module."""

    format: Literal["TF1", "TF2"]
    tags: tuple[str, ...] | None = None
    """Tags of the meta graph to load; None for a TF2 SavedModel, which has one."""
    calls: tuple[Function, ...] = ()
    """Traces of the module itself, if it is callable (a TF2 reusable SavedModel). Traces with default arguments come
    first."""
    signatures: dict[str, Function] = Field(default_factory=dict)
    variables: tuple[Variable, ...] = ()

    def functions(self, hub: Hub) -> tuple[Function, ...]:
        """The callables that `hub` selects: the named signature, the module itself, or the only signature.

        Raises:
            UserError: if the module has no such callable.
        """
        name = signature_name(self, hub)
        if name is None and self.calls:
            return self.calls
        if name not in self.signatures:
            offered = ", ".join(sorted(self.signatures)) or "none"
            wanted = f"no signature '{name}'" if name else "nothing to call and several signatures"
            raise UserError(f"the module has {wanted}; its signatures are: {offered}")
        return (self.signatures[name],)


def signature_name(module: Module, hub: Hub) -> str | None:
    """The signature that `hub` selects; None for the module itself."""
    if hub.signature or module.calls:
        return hub.signature
    return usual_signature(module.signatures)


def output_name(function: Function, hub: Hub) -> str:
    """The name of the output that `hub` selects.

    Raises:
        UserError: if the function has no such output.
    """
    if not has_output(function, hub):
        outputs = ", ".join(sorted(function.outputs))
        raise UserError(f"the module has no output '{hub.output}'; its outputs are: {outputs}")
    return hub.output if hub.output in function.outputs else next(iter(function.outputs))


def has_output(function: Function, hub: Hub) -> bool:
    if hub.outputs:
        return set(hub.outputs) <= function.outputs.keys()
    return hub.output in function.outputs or (hub.output == "default" and len(function.outputs) == 1)


def as_tensor(value: Any, wanted: Tensor) -> tf.Tensor:
    """An argument as a tensor with the dtype of the input.

    Raises:
        TypeError, ValueError: if the value has another type.
    """
    return tf.constant(value, tf.as_dtype(wanted.dtype))


def is_number(dtype: str) -> bool:
    """Whether this is a numeric dtype, including bool, of a dense tensor."""
    return dtype in _NUMBERS


def is_floating(dtype: str) -> bool:
    """Whether this is a dtype of floating-point numbers."""
    return dtype in _FLOATS


def are_compatible(one: Shape, other: Shape) -> bool:
    """Whether a tensor can have both shapes. None is any size, and no shape at all any rank."""
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(None in pair or pair[0] == pair[1] for pair in zip(one, other, strict=True))


def listed(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in sorted(tensors.items())) or "none"


def plain(value: Any) -> Any:
    """An argument in JSON types, so that lists and tuples compare equal."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
