"""Runs exported models for evaluation: the candidate and the serving version."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE
from hubline.components.evaluator.test_split import TestSplit
from hubline.core.errors import RunError, UserError, tensorflow_reason
from hubline.serving.integrity import find_faults
from hubline.trainer.export_format import HEAD, SERVING, recipe_of
from hubline.trainer.inputs import Tensors
from hubline.trainer.saved_model_loader import load_exported

_TRIED = 16  # records used to verify that head and whole model agree
_TOLERANCE = 1e-3
_BROKEN = (
    UserError,
    ValueError,
    KeyError,
    UnicodeError,
    tf.errors.DataLossError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
    tf.errors.InvalidArgumentError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    tf.errors.UnimplementedError,
)
"""Errors caused by a model itself. Storage that can't be reached and exhausted memory are not among them."""


class ServingModelError(Exception):
    """The serving version is broken or has other outputs, so the candidate cannot be compared with it."""


@dataclass(frozen=True)
class Scale:
    """Centre and spread of a model's float outputs, which determine what counts as rounding. The default suits
    probabilities and boxes."""

    centre: float = 0.0
    spread: float = 1.0

    def rounding(self, values: np.ndarray) -> np.ndarray:
        """The greatest difference from each value that counts as rounding.

        Never below the distance between neighbouring numbers of the values' type: float32 numbers near 1.6e9 are 128
        apart.
        """
        relative = _TOLERANCE * np.maximum(self.spread, np.abs(values - self.centre))
        return np.maximum(relative, np.spacing(np.abs(values)))


@contextmanager
def faults_of_serving(name: str) -> Iterator[None]:
    """Raises a ServingModelError for any error caused by the model, if it is the serving version."""
    try:
        yield
    except _BROKEN as error:
        if name == CANDIDATE:
            raise
        reason = tensorflow_reason(error) if isinstance(error, tf.errors.OpError) else str(error)
        raise ServingModelError(reason) from error


class ExportedModel:
    """An exported model that predicts on serialized tf.Examples, or its head, which predicts on rows."""

    def __init__(self, path: str, answers_rows: bool = False) -> None:
        """Loads the model as a server does.

        Args:
            path: Folder of the SavedModel.
            answers_rows: Whether to load the head instead, because the cached vectors in rows match its modules.

        Raises:
            UserError: if it does not load.
        """
        self.path, self.answers_rows = path, answers_rows
        self._answer = _load(f"{path}/{HEAD}" if answers_rows else path)

    @property
    def outputs(self) -> set[str]:
        """Names of its outputs."""
        return set(self._answer.structured_outputs)

    def answer(self, records: tf.Tensor) -> Tensors:
        """Predicts on serialized records or rows, string [batch]; returns the outputs by name."""
        return self._answer(examples=records)


def verified(
    path: str,
    split: TestSplit,
    answers: Sequence[str],
    kept: Sequence[str],
    scale: Callable[[], Scale],
    is_candidate: bool,
) -> ExportedModel:
    """Loads a model, and predicts on a few records. Returns its head if that can be used, otherwise the whole model.

    Args:
        path: Folder of the SavedModel.
        split: The records and rows to predict on.
        answers: Names of the required outputs.
        kept: The float outputs, which must be the same for a record and its row.
        scale: Returns the scale of these outputs; called if the model has a head for the rows.
        is_candidate: Whether a head that disagrees with the whole model is an error. Otherwise the whole model is
            used.

    Raises:
        UserError: if the model's files are damaged, it does not load, or an output is missing.
        RunError: if the candidate's head disagrees with its whole model.
    """
    if not is_candidate and (faults := find_faults(path)):  # a truncated model may load and predict nonetheless
        raise UserError("; ".join(faults))
    model = ExportedModel(path)
    if not set(answers) <= model.outputs:
        raise UserError(
            f"{path}: the model has no output {' and '.join(map(repr, answers))} in its signature '{SERVING}'"
        )
    records, rows = next(iter(split.both().batch(_TRIED)))
    whole = model.answer(records)
    if split.recipe is None or recipe_of(path) != split.recipe:
        return model
    head = _agreeing_head(path, rows, {name: whole[name] for name in kept}, scale(), is_candidate)
    return head or model


def _agreeing_head(
    path: str, rows: tf.Tensor, whole: Tensors, scale: Scale, is_candidate: bool
) -> ExportedModel | None:
    try:
        head = ExportedModel(path, answers_rows=True)
        answered = head.answer(rows)
        differences = {
            name: _difference(values.numpy(), answered[name].numpy(), scale) for name, values in whole.items()
        }
    except _BROKEN:
        if is_candidate:
            raise
        return None
    wrong = {name: difference for name, difference in differences.items() if difference is not None}
    if wrong and is_candidate:
        name, difference = next(iter(wrong.items()))
        raise RunError(
            f"{path}: for the same records, the model's {name} differ by {difference:g} from those "
            "computed from their stored vectors; remove the folder `store` next to the artifacts, and run again"
        )
    return None if wrong else head


def _difference(whole: np.ndarray, head: np.ndarray, scale: Scale) -> float | None:
    """Largest difference between two outputs; None if every difference is rounding."""
    differences = np.abs(whole - head)
    is_rounding = differences <= scale.rounding(whole)  # False for NaN
    return None if is_rounding.all() else float(differences[~is_rounding].max())


def _load(path: str) -> Any:
    """Loads the serving signature of a SavedModel."""
    try:
        answer = load_exported(path).signatures.get(SERVING)
    except (UserError, OSError, ValueError, *_BROKEN) as error:
        reason = tensorflow_reason(error) if isinstance(error, tf.errors.OpError) else str(error)
        raise UserError(f"{path}: TensorFlow can't load this version: {reason}") from error
    if answer is None:
        raise UserError(f"{path}: the model has no signature '{SERVING}'")
    return answer
