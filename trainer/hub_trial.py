"""Tries a hub module out: whether each output has a row for every item of a batch is learned by asking.

Shapes alone do not tell: `[?, 6]` is a row for each item, or a row for each thing that was found in all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from hubline.core.config_base import Section
from hubline.trainer.non_finite import described

Kind = Literal["row", "dependent", "single", "loose"]
"""How an output belongs to the items of a batch.

- `row`: a row for each item, the same whatever items are beside it.
- `dependent`: a row for each, which depends on the others, as where texts are padded to the longest.
- `single`: one row, whatever is asked; the module takes one item at a time.
- `loose`: no dimension for the batch: what was found in all items, one after the other, or a number for all of them.
"""

Takes = Literal["batches", "one", "bare"]
"""What a module takes at once: batches of any size, a batch of one item, or an item without a dimension for a batch."""

Ask = Callable[[Sequence[int]], Mapping[str, np.ndarray]]
"""What a module gives for a batch of probes, which are named by their numbers, by output."""

TEXTS = ("The quick brown fox jumps over the lazy dog. Twice, in 2024!", "", "word", "Zwölf Boxkämpfer\njagen Eva")
"""Texts of several words, sentences and lines, and of none."""

_TOLERANCE = 0.01
"""Of the largest number of an output: what may differ with the size of a batch, also in 16 bits."""


class Tried(Section):
    """What trying a module out has shown."""

    outputs: dict[str, Kind] = {}
    """By output; those that are not here count as `loose`."""
    gave: dict[str, str] = {}
    """By output, the shapes that were seen, in words."""
    warnings: tuple[str, ...] = ()

    def kind(self, output: str) -> Kind:
        """How an output belongs to the items of a batch."""
        return self.outputs.get(output, "loose")


def try_outputs(ask: Ask, probes: int, takes: Takes) -> Tried:
    """Asks about each probe alone, about one twice at once, and about several that differ.

    Args:
        ask: Calls the module. What it raises counts as no answer, as not every module takes every probe.
        probes: How many there are.
        takes: What the module takes at once.
    """
    alone = {number: given for number in range(probes) if (given := _given(ask, [number])) is not None}
    if not alone:
        return Tried()
    usable = list(alone)
    batches = [usable[:1] * 2, [*usable[1:3], *usable[:1]], usable[::-1]] if takes == "batches" else []
    together = [(batch, _given(ask, batch)) for batch in batches]
    first, again = alone[usable[0]], _given(ask, usable[:1])
    outputs = {}
    for name in first:
        is_random = again is None or not _alike(first[name], again[name])
        outputs[name] = "loose" if takes == "bare" else _kind(name, alone, together, is_random)
    gave = {name: _shapes(name, alone, together) for name in first}
    return Tried(outputs=outputs, gave=gave, warnings=tuple(_not_finite(alone)))


def _given(ask: Ask, numbers: Sequence[int]) -> Mapping[str, np.ndarray] | None:
    try:
        return ask(numbers)
    except Exception:  # whatever a module raises of items that are not made for it
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
    """Pictures that differ in what may be found in them: noise, nothing, all white, one thing, and two.

    Args:
        shape: [height, width, channels], or of clips [frames, height, width, channels].
    """
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    black = np.zeros(shape, np.uint8)
    if len(shape) > 3:  # which are slow to run
        return [noise, black]
    height, width = shape[:2]
    one, two = black.copy(), black.copy()
    for picture, places in ((one, [(1, 1)]), (two, [(0, 0), (2, 2)])):
        for row, column in places:
            top, left = row * height // 4, column * width // 4
            picture[top : top + max(height // 4, 1), left : left + max(width // 4, 1)] = 255
    return [noise, black, np.full(shape, 255, np.uint8), one, two]


def numpy_of(values: tf.Tensor | tf.RaggedTensor) -> np.ndarray:
    """An output as NumPy has it, which has no bfloat16; of a ragged one, an array of objects, a list for each row."""
    if isinstance(values, tf.RaggedTensor):
        rows = np.empty(int(values.nrows()), object)
        rows[:] = values.to_list()
        return rows
    return np.asarray((tf.cast(values, tf.float32) if values.dtype == tf.bfloat16 else values).numpy())
