"""Whether a hub module fits the features that feed it and the head that takes its output."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hubline.core.errors import UserError
from hubline.trainer.config.hubs import Hub
from hubline.trainer.module import Function, Module, has_output, is_number, listed, output_name
from hubline.trainer.module_inputs import frames_each, input_faults, takes_one

if TYPE_CHECKING:
    from hubline.preprocessing.config import Features


def fitting_function(module: Module, hub: Hub, features: Features) -> Function:
    """The callable that `hub` selects. Of several traces, the first that fits, preferring one that has the output.

    Raises:
        UserError: if none fits, with the reasons for the closest one.
    """
    functions = module.functions(hub)
    faults = {number: input_faults(function, hub, features) for number, function in enumerate(functions)}
    fitting = [functions[number] for number, found in faults.items() if not found]
    if not fitting:
        nearest = min(faults, key=lambda number: len(faults[number]))
        others = dict.fromkeys(listed(function.inputs) for function in functions)
        others.pop(listed(functions[nearest].inputs))
        raise UserError("; ".join(faults[nearest]) + (f"; it also takes {'; '.join(others)}" if others else ""))
    return next((function for function in fitting if has_output(function, hub)), fitting[0])


def check_fits(module: Module, hub: Hub, features: Features) -> None:
    """Checks that a module can be fed from the features and that its output suits a head.

    Raises:
        UserError: if a signature, input or output is missing, or a shape or dtype doesn't fit.
    """
    function = fitting_function(module, hub, features)
    if hub.outputs:
        maps_of(function, hub, features)
    else:
        shape_of_one(function, hub, features)


def maps_of(function: Function, hub: Hub, features: Features) -> dict[str, tuple[int | None, ...]]:
    """Height, width and channels of each feature map in `outputs`, as far as they are known.

    Raises:
        UserError: if an output is not a feature map.
    """
    missing = [name for name in hub.outputs if name not in function.outputs]
    if missing:
        raise UserError(f"the module has no output '{missing[0]}'; its outputs are: {listed(function.outputs)}")
    if takes_one(function, hub, features):
        raise UserError("the module takes one image at a time; a label of pixels needs batches")
    found: dict[str, tuple[int | None, ...]] = {}
    for name in hub.outputs:
        output = function.outputs[name]
        if not is_number(output.dtype) or (output.shape is not None and len(output.shape) != 4):
            raise UserError(
                f"the module's output '{name}' is {output}, but a label of pixels needs feature maps, [?, height, "
                f"width, channels]; the outputs are: {listed(function.outputs)}"
            )
        found[name] = (None, None, None) if output.shape is None else output.shape[1:]
    return found


def shape_of_one(function: Function, hub: Hub, features: Features) -> tuple[int, ...] | None:
    """Shape of a function's output per example: [n], or [steps, n] for a sequence layer; None if unknown.

    If the function runs on each frame of a clip separately, the frames are the steps.

    Raises:
        UserError: if the output has another shape.
    """
    name = output_name(function, hub)
    output = function.outputs[name]
    if not is_number(output.dtype):
        raise UserError(
            f"the module's output '{name}' is {output}, but a head needs numbers; the outputs are: "
            f"{listed(function.outputs)}"
        )
    frames = frames_each(function, hub, features)
    if output.shape is None and (hub.pool is not None or frames is not None):
        raise UserError(f"the module does not say what shape its output '{name}' has, so it cannot be pooled")
    if output.shape is None:
        return None
    inner = _of_one(output.shape, takes_one(function, hub, features), hub.pool is not None)
    if inner is not None and frames is not None:
        inner = frames, *inner
    if inner is None or (len(inner) > 0 and inner[-1] is None):
        raise UserError(
            f"the module's output '{name}' is {output}, but a head needs a vector of numbers for each example, [?, n]; "
            f"the outputs are: {listed(function.outputs)}"
        )
    if len(inner) > 1 and hub.pool is None:
        raise UserError(
            f"the module's output '{name}' is {output}: {' x '.join(map(_size, inner[:-1]))} vectors for each example, "
            f"{'where each frame is run by itself, and a head' if frames is not None else 'where a head'} needs one; "
            f"say `pool: mean` or `pool: max`, or use another of the outputs: {listed(function.outputs)}"
        )
    if len(inner) < 2 and hub.pool is not None:
        raise UserError(f"the module's output '{name}' is {output}: there is nothing to pool; remove `pool`")
    numbers = 1 if not inner else inner[-1]
    assert numbers is not None  # checked above
    if hub.pool is None or isinstance(hub.pool, str):
        return (numbers,)
    steps = math.prod(inner[:-1]) if None not in inner else hub.pool.max_length  # type: ignore[arg-type]
    return min(steps, hub.pool.max_length), numbers


def _of_one(shape: tuple[int | None, ...], takes_one: bool, is_pooled: bool) -> tuple[int | None, ...] | None:
    """The shape of one example within an output's shape; None if examples cannot be told apart."""
    if not takes_one:
        return shape[1:] if shape else None
    # A first dimension of any size may be the batch, or the number of objects detected in an image.
    has_batch = len(shape) > 1 and shape[0] in (1, None)
    return shape[1:] if has_batch and not is_pooled else shape


def _size(size: int | None) -> str:
    return "?" if size is None else str(size)
