"""Compares a module with the model that it was made of, on random inputs."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.core.errors import UserError, library_reason
from hubline.trainer.hub_trial import TEXTS

EXAMPLES = 4
_SIZES = (64, 16, 224, 8, 1)
"""Sizes to try for dimensions that the model leaves open: of images and of sequences."""
_INTEGERS = (256, 16, 2)
"""Upper bounds to try for integers, which may be pixels, or indices into a small table."""
_TOLERANCE = {"float16": 1e-2, "bfloat16": 1e-1}
"""Tolerated difference relative to the largest number of an output, by its dtype; otherwise `_FLOAT`."""
_FLOAT = 1e-4


def compare(original: Callable[[Any], Any], module: Callable[[Any], Any], inputs: Any) -> float:
    """The largest difference between the outputs of the original and of the module, for random inputs.

    Args:
        original: The model, in inference mode.
        module: The module as it was loaded from its files.
        inputs: Specs of the inputs, a TensorSpec or a dict.

    Raises:
        UserError: if the original rejects all random inputs, its answers are random, or the module's answers differ by
            more than the tolerance.
    """
    fed, wanted = _first_answer(original, inputs)
    again, answer = _by_name(original(fed)), _by_name(module(fed))
    if any(not np.array_equal(wanted[name], again[name], equal_nan=_is_float(wanted[name])) for name in wanted):
        raise UserError(
            "the model draws random numbers also in inference, so its answers can't be compared with a module's; take "
            "the output of an earlier layer with --layer"
        )
    return max(_difference(name, wanted[name], answer[name]) for name in wanted)


def _first_answer(original: Callable[[Any], Any], inputs: Any) -> tuple[Any, Mapping[str, np.ndarray]]:
    """Random inputs that the original accepts, and its outputs for these."""
    reason = ""
    for size in _SIZES:
        for bound in _INTEGERS:
            rng = np.random.default_rng(0)
            fed = tf.nest.map_structure(lambda spec: _random(spec, size, bound, rng), inputs)  # noqa: B023
            try:
                return fed, _by_name(original(fed))
            except Exception as error:  # a model may raise anything for sizes that don't suit it
                reason = reason or library_reason(error)
    raise UserError(f"the model rejects random inputs of the shapes that it declares: {reason}")


def _random(spec: tf.TensorSpec, size: int, bound: int, rng: np.random.Generator) -> tf.Tensor:
    """Half of the floats are between 0 and 1, as pixels are, and half normally distributed."""
    first, *rest = (spec.shape.as_list() if spec.shape.rank is not None else [None]) or [EXAMPLES]
    shape = [EXAMPLES if first is None else first, *(size if each is None else each for each in rest)]
    if spec.dtype == tf.string:
        return tf.constant(rng.choice(TEXTS, shape))
    if spec.dtype.is_integer or spec.dtype.is_bool:
        return tf.cast(rng.integers(0, 2 if spec.dtype.is_bool else bound, shape), spec.dtype)
    values = rng.normal(size=shape)
    half = len(values) // 2
    values[half:] = rng.random((len(values) - half, *shape[1:]))
    return tf.cast(values, spec.dtype)


def _by_name(outputs: Any) -> dict[str, np.ndarray]:
    named = outputs if isinstance(outputs, Mapping) else {"default": outputs}
    return {name: np.asarray(tf.convert_to_tensor(value)) for name, value in named.items()}


def _difference(name: str, wanted: np.ndarray, answer: np.ndarray) -> float:
    if wanted.shape != answer.shape:
        raise UserError(f"the module's output {name} is {answer.shape}, and the original's is {wanted.shape}")
    if not _is_float(wanted):
        if not np.array_equal(wanted, answer):
            raise UserError(f"the module's output {name} differs from the original's")
        return 0.0
    one, other = wanted.astype(np.float64), answer.astype(np.float64)
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        raise UserError(f"the module's output {name} has infinite or missing numbers where the original's has none")
    finite = np.isfinite(one)
    difference = float(np.abs(one - other)[finite].max(initial=0.0))
    tolerance = _TOLERANCE.get(wanted.dtype.name, _FLOAT) * max(1.0, float(np.abs(one)[finite].max(initial=0.0)))
    if difference > tolerance:
        raise UserError(
            f"the module's output {name} differs from the original's by up to {difference:.3g}, more than the "
            f"tolerated {tolerance:.3g}"
        )
    return difference


def _is_float(values: np.ndarray) -> bool:
    return values.dtype.kind == "f" or values.dtype.name == "bfloat16"
