"""Detects a training that learned nothing: a constant loss, or constant predictions."""

from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer.task import BOX, MASK, SCORES, VALUE, Task
from hubline.trainer.training_notes import Note

_STILL, _EPOCHS = 0.005, 3
"""Minimum relative decrease of the loss, after at least this many epochs, for the loss to count as changed."""

_CONSTANT = 1e-3
"""Scores and fractions of an image that differ by less count as equal; so do predicted numbers that differ by less than
this fraction of the range of the true ones."""


def stands_still(losses: Sequence[float]) -> Note | None:
    """A note if the loss has not changed since the first epoch."""
    if len(losses) < _EPOCHS or losses[0] - min(losses) > _STILL * abs(losses[0]):
        return None
    text = (
        f"the loss has not changed since the first epoch: {losses[0]:.4g}, and {losses[-1]:.4g} "
        f"after {len(losses)} epochs; the model learned nothing. Try another learning rate, and check whether the "
        "features carry information about the label"
    )
    return Note(kind="stands_still", text=text)


def constant(
    task: Task, model: tf.keras.Model, batches: Iterable[tuple[dict[str, tf.Tensor], tf.Tensor]]
) -> list[Note]:
    """Notes if the model predicts the same for every record although the true values differ.

    Args:
        task: The model's task.
        model: Maps inputs to raw outputs.
        batches: Inputs and targets.
    """
    spreads: dict[str, _Spread] = {}
    true = _Spread()
    for inputs, target in batches:
        outputs = model(inputs, training=False)
        answers = task.answer(outputs)
        true.add(np.where(target == LEFT_OUT, np.nan, target) if MASK in answers else target)
        if VALUE in answers:
            told = {VALUE: outputs}
        else:
            told = {name: answers[name] for name in (SCORES, BOX, MASK) if name in answers}
        for name, values in told.items():
            spreads.setdefault(name, _Spread(by_pixel=name == MASK)).add(values)
        if VALUE not in told and all(spread.widest > _CONSTANT for spread in spreads.values()):
            return []  # some output varies, whatever follows
    if not true.widest:
        return []  # the true values are constant too
    if VALUE in spreads:
        return [_same(VALUE)] if spreads[VALUE].widest < _CONSTANT * true.widest else []
    one_class = SCORES in spreads and spreads[SCORES].size == 1
    return [
        _same(name)
        for name, spread in spreads.items()
        if spread.widest <= _CONSTANT and not (name == SCORES and one_class)
    ]


_WHAT = {SCORES: "scores", BOX: "box", MASK: "class for each pixel", VALUE: "value"}


def _same(name: str) -> Note:
    text = f"the model predicts the same {_WHAT[name]} for every record of the validation split; it learned nothing"
    return Note(kind="constant", text=text)


class _Spread:
    """Range of values over all records; NaN is ignored."""

    def __init__(self, by_pixel: bool = False) -> None:
        self._least: np.ndarray | None = None
        self._by_pixel = by_pixel

    def add(self, values: tf.Tensor | np.ndarray) -> None:
        """Adds the values of a batch, [batch, ...]."""
        array = np.asarray(values, np.float64)
        flat = array.reshape(-1, 1) if self._by_pixel or array.ndim < 2 else array.reshape(-1, array.shape[-1])
        least, greatest = np.fmin.reduce(flat), np.fmax.reduce(flat)
        if self._least is None:
            self._least, self._greatest = least, greatest
        self._least, self._greatest = np.fmin(self._least, least), np.fmax(self._greatest, greatest)

    @property
    def size(self) -> int:
        """Values per record."""
        return 0 if self._least is None else len(self._least)

    @property
    def widest(self) -> float:
        """The largest range of any value."""
        return 0.0 if self._least is None else float(np.nanmax([*(self._greatest - self._least), 0.0]))
