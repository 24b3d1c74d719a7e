"""Runs a hub module on probes, to find out which outputs have one row per item of a batch.

Shapes alone don't tell: `[?, 6]` may be one row per item, or one row per object detected in all items.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from hubline.core.config_base import Section
from hubline.trainer.non_finite import described

Kind = Literal["row", "dependent", "single", "loose"]
"""How an output relates to the items of a batch.

- `row`: one row per item, independent of the other items.
- `dependent`: one row per item, which depends on the other items, for example if texts are padded to the longest.
- `single`: one row whatever the batch; the module takes one item at a time.
- `loose`: no batch dimension: detections of all items in one list, or one number for all of them.
"""

Takes = Literal["batches", "one", "bare"]
"""What a module accepts: batches of any size, batches of one item, or an item without a batch dimension."""

Ask = Callable[[Sequence[int]], Mapping[str, np.ndarray]]
"""Runs the module on a batch of probes, given by their indices; returns outputs by name."""

TEXTS = ("The quick brown fox jumps over the lazy dog. Twice, in 2024!", "", "word", "Zwölf Boxkämpfer\njagen Eva")
"""Texts of several words, sentences and lines, and an empty one."""

_TOLERANCE = 0.01
"""Tolerated difference between batch sizes, relative to the largest number of an output; wide enough for 16 bits."""


class TrialResult(Section):
    """Findings about a module's outputs."""

    outputs: dict[str, Kind] = {}
    """Kinds by output; outputs that are not listed count as `loose`."""
    output_shapes: dict[str, str] = {}
    """Observed shapes by output, in words."""
    warnings: tuple[str, ...] = ()

    def kind(self, output: str) -> Kind:
        return self.outputs.get(output, "loose")


def try_outputs(ask: Ask, probes: int, takes: Takes) -> TrialResult:
    """Runs each probe alone, one probe twice in a batch, and batches of different probes.

    Args:
        ask: Calls the module. An exception counts as no answer, because not every module accepts every probe.
        probes: Number of probes.
        takes: What the module accepts.
    """
    alone = {number: given for number in range(probes) if (given := _given(ask, [number])) is not None}
    if not alone:
        return TrialResult()
    usable = list(alone)
    batches = [usable[:1] * 2, [*usable[1:3], *usable[:1]], usable[::-1]] if takes == "batches" else []
    together = [(batch, _given(ask, batch)) for batch in batches]
    first, again = alone[usable[0]], _given(ask, usable[:1])
    outputs = {}
    for name in first:
        is_random = again is None or not _alike(first[name], again[name])
        outputs[name] = "loose" if takes == "bare" else _kind(name, alone, together, is_random)
    output_shapes = {name: _shapes(name, alone, together) for name in first}
    return TrialResult(outputs=outputs, output_shapes=output_shapes, warnings=tuple(_not_finite(alone)))


def _given(ask: Ask, numbers: Sequence[int]) -> Mapping[str, np.ndarray] | None:
    try:
        return ask(numbers)
    except Exception:  # a module may raise anything for unsuitable items
        return None


def _shapes(
    name: str,
    alone: Mapping[int, Mapping[str, np.ndarray]],
    together: Sequence[tuple[Sequence[int], Mapping[str, np.ndarray] | None]],
) -> str:
    """For example `[2, 6], [0, 6] for one item, [2, 6] for 2`."""
    single = ", ".join(dict.fromkeys(str(list(given[name].shape)) for given in alone.values()))
    more = [f"{list(given[name].shape) if given else 'an error'} for {len(batch)}" for batch, given in together]
    return ", ".join([f"{single} for one item", *dict.fromkeys(more)])


def _kind(
    name: str,
    alone: Mapping[int, Mapping[str, np.ndarray]],
    together: Sequence[tuple[Sequence[int], Mapping[str, np.ndarray] | None]],
    is_random: bool,
) -> Kind:
    if any(given[name].shape[:1] != (1,) for given in alone.values()):
        return "loose"
    if all(given is None or given[name].shape[:1] == (1,) for _, given in together):
        return "single"
    if any(given is None or given[name].shape[:1] != (len(batch),) for batch, given in together):
        return "loose"
    is_own = all(
        _alike(row, alone[number][name][0], values_too=not is_random)
        for batch, given in together
        for number, row in zip(batch, given[name] if given else (), strict=True)
    )
    return "row" if is_own else "dependent"


def _alike(one: Any, other: Any, values_too: bool = True) -> bool:
    if isinstance(one, list):  # a row of a ragged output
        return not values_too or one == other
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or not values_too or not one.size:
        return one.shape == other.shape
    if one.dtype.kind != "f":
        return one.tolist() == other.tolist()
    finite = np.abs(other[np.isfinite(other)])
    most = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(one, other, rtol=_TOLERANCE, atol=_TOLERANCE * most, equal_nan=True))


def _not_finite(alone: Mapping[int, Mapping[str, np.ndarray]]) -> list[str]:
    """A warning for each output that is not finite for an ordinary probe."""
    found: dict[str, str] = {}
    for given in alone.values():
        for name, values in given.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                found.setdefault(name, f"tried on ordinary input, {described(name, values)}")
    return list(found.values())


def pictures(shape: Sequence[int]) -> list[np.ndarray]:
    """Images that differ in what may be detected: noise, black, white, one square, two squares.

    Args:
        shape: [height, width, channels]; for clips [frames, height, width, channels].
    """
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    black = np.zeros(shape, np.uint8)
    if len(shape) > 3:  # clips are slow to run
        return [noise, black]
    height, width = shape[:2]
    one, two = black.copy(), black.copy()
    for picture, places in ((one, [(1, 1)]), (two, [(0, 0), (2, 2)])):
        for row, column in places:
            top, left = row * height // 4, column * width // 4
            picture[top : top + max(height // 4, 1), left : left + max(width // 4, 1)] = 255
    return [noise, black, np.full(shape, 255, np.uint8), one, two]


def numbers(length: int, are_whole: bool = False) -> list[np.ndarray]:
    """Normalized numbers: noise, zeros, ones, and other noise; each float32 [length]. If they `are_whole`, small
    integers from 0, which can be ids."""
    rng = np.random.default_rng(0)
    noise, other = (rng.normal(size=length).astype(np.float32) for _ in range(2))
    if are_whole:
        noise, other = (np.rint(np.abs(some)) for some in (noise, other))
    return [noise, np.zeros(length, np.float32), np.ones(length, np.float32), other]


def numpy_of(values: tf.Tensor | tf.RaggedTensor) -> np.ndarray:
    """An output in NumPy, which has no bfloat16. A ragged output becomes an object array with one list per row."""
    if isinstance(values, tf.RaggedTensor):
        rows = np.empty(int(values.nrows()), object)
        rows[:] = values.to_list()
        return rows
    return np.asarray((tf.cast(values, tf.float32) if values.dtype == tf.bfloat16 else values).numpy())
