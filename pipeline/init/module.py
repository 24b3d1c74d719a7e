"""Finds the inputs that a hub module takes."""

from __future__ import annotations

from hubline.core.errors import UserError
from hubline.pipeline.init.column_profile import ModuleInput, ModuleProfile
from hubline.pipeline.inspect import inspect_handle
from hubline.trainer.config.hubs import Hub
from hubline.trainer.module import Function, Tensor, is_floating, listed


def look_at_module(handle: str, written: str) -> ModuleProfile:
    """Fetches a module and determines its inputs.

    Args:
        handle: Where the module is.
        written: The handle as written in the pipeline file.

    Raises:
        UserError: if the module cannot be fetched, or takes anything but images, clips, texts and numbers.
    """
    offer, _, _ = inspect_handle(handle)
    hub = Hub.model_validate({"handle": handle, "inputs": {"inputs": "any"}})
    functions = offer.functions(hub)
    for function in functions:
        needed = {name: tensor for name, tensor in function.inputs.items() if name not in function.arguments}
        inputs = tuple(filter(None, (_input(name, tensor) for name, tensor in sorted(needed.items()))))
        if inputs and len(inputs) == len(needed):
            output = None if "default" in function.outputs or len(function.outputs) == 1 else _vector(function)
            return ModuleProfile(written, inputs, output, _maps(function))
    inputs_of_all = "; or ".join(listed(function.inputs) for function in functions)
    raise UserError(
        f"{handle}: init supports modules that take images, clips, texts and numbers; this module takes {inputs_of_all}"
    )


def _input(name: str, tensor: Tensor) -> ModuleInput | None:
    """An input as a feature feeds it; None if init knows no such feature."""
    shape = tensor.shape or ()
    if tensor.dtype == "string" and len(shape) == 1:
        return ModuleInput(name, "text")
    if tensor.dtype in ("float32", "uint8") and len(shape) in (4, 5) and shape[-1] in (1, 3):
        height, width, channels = shape[-3:]
        size = (height, width) if height and width else None
        if len(shape) == 5:
            return ModuleInput(name, "video", size, channels or 3, frames=shape[1])
        return ModuleInput(name, "image", size, channels or 3)
    if is_floating(tensor.dtype) and len(shape) == 2 and shape[1]:
        return ModuleInput(name, "numbers", length=shape[1])
    return None


def _vector(function: Function) -> str | None:
    """The first output with one vector per example."""
    vectors = (name for name, tensor in function.outputs.items() if tensor.shape and len(tensor.shape) == 2)
    return next(vectors, None)


def _maps(function: Function) -> tuple[str, ...]:
    """Outputs with one vector per place of an image."""
    return tuple(sorted(name for name, each in function.outputs.items() if each.shape and len(each.shape) == 4))
