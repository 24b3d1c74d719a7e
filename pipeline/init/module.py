"""Finds the input that a hub module takes."""

from __future__ import annotations

from hubline.core.errors import UserError
from hubline.pipeline.init.column_profile import ModuleProfile
from hubline.pipeline.inspect import inspect_handle
from hubline.trainer import module as module_interface
from hubline.trainer.config.hubs import Hub


def look_at_module(handle: str, written: str) -> ModuleProfile:
    """Fetches a module and determines its input.

    Args:
        handle: Where the module is.
        written: The handle as written in the pipeline file.

    Raises:
        UserError: if the module cannot be fetched, or takes anything but images, clips or texts.
    """
    offer, _, _ = inspect_handle(handle)
    hub = Hub.model_validate({"handle": handle, "inputs": {"inputs": "any"}})
    functions = offer.functions(hub)
    for function in functions:
        needed = {name: tensor for name, tensor in function.inputs.items() if name not in function.arguments}
        if len(needed) == 1:
            ((name, tensor),) = needed.items()
            output = None if "default" in function.outputs or len(function.outputs) == 1 else _vector(function)
            shape = tensor.shape or ()
            if tensor.dtype == "string" and len(shape) == 1:
                return ModuleProfile(written, name, "text", output=output)
            if tensor.dtype == "float32" and len(shape) == 4 and shape[3] in (1, 3):
                return ModuleProfile(written, name, "image", (shape[1] or 224, shape[2] or 224), shape[3], output)
            if tensor.dtype in ("float32", "uint8") and len(shape) == 5 and shape[4] in (1, 3):
                return ModuleProfile(
                    written, name, "video", (shape[2] or 224, shape[3] or 224), shape[4], output, shape[1]
                )
    inputs = "; or ".join(
        ", ".join(f"{name} {tensor}" for name, tensor in function.inputs.items()) for function in functions
    )
    raise UserError(
        f"{handle}: init supports modules whose only input is images, clips or texts; this module takes {inputs}"
    )


def _vector(function: module_interface.Function) -> str | None:
    """The first output with one vector per example."""
    vectors = (name for name, tensor in function.outputs.items() if tensor.shape and len(tensor.shape) == 2)
    return next(vectors, None)
