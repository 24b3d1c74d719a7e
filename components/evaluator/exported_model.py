"""Exported models as Evaluator asks them: the candidate, and the version that serves."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE
from hubline.components.evaluator.test_split import TestSplit
from hubline.components.pusher.integrity import find_faults
from hubline.core.errors import RunError, UserError, tensorflow_reason
from hubline.trainer import export
from hubline.trainer.inputs import Tensors
from hubline.trainer.saved_model_loader import load_exported

_TRIED = 16  # records that a model is asked about twice, to see that its head answers as the whole does
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
"""What is wrong with a model itself. A storage that is away, or memory that runs out, is not among them."""


class ServingFault(Exception):
    """The version that serves cannot be compared with: it is broken, or answers something else. Says why."""


@contextmanager
def faults_of_serving(name: str) -> Iterator[None]:
    """Raises a ServingFault for whatever is wrong with a model, where it is the one that serves."""
    try:
        yield
    except _BROKEN as error:
        if name == CANDIDATE:
            raise
        reason = tensorflow_reason(error) if isinstance(error, tf.errors.OpError) else str(error)
        raise ServingFault(reason) from error


class ServedModel:
    """An exported model, answering serialized tf.Examples, and rows where it knows the vectors in them."""

    def __init__(self, path: str, split: TestSplit, answers: Sequence[str], kept: Sequence[str], is_candidate: bool):
        """Loads the whole model, as a server does, and asks it about some records.

        Args:
            path: The folder of the SavedModel.
            split: Whose records and rows it is to answer.
            answers: What it must answer, by name.
            kept: Those of them that are numbers, and the same of a record and of its row.
            is_candidate: Whether its head must answer as the whole model does. A version that serves is asked whole
                where its head does not.

        Raises:
            UserError: where its files are damaged, or it does not load, or does not answer all of this.
            RunError: where the head of a candidate gives other answers.
        """
        self.path = path
        if not is_candidate and (faults := find_faults(path)):  # cut short, it may load and answer all the same
            raise UserError("; ".join(faults))
        self._answer = _load(path)
        if not set(answers) <= self._answer.structured_outputs.keys():
            raise UserError(
                f"{path}: this model does not answer {' and '.join(map(repr, answers))} in its signature "
                f"'{export.SERVING}'"
            )
        records, rows = next(iter(split.both().batch(_TRIED)))
        whole = self.answer(records)
        self.answers_rows = False
        if split.recipe is not None and export.recipe_of(path) == split.recipe:
            self._use_head(rows, {name: whole[name] for name in kept}, is_candidate)

    def answer(self, records: tf.Tensor) -> Tensors:
        """What it answers, by name, of serialized records or rows, string of shape [batch]."""
        return self._answer(examples=records)

    def _use_head(self, rows: tf.Tensor, whole: Tensors, is_candidate: bool) -> None:
        try:
            head = _load(f"{self.path}/{export.HEAD}")
            answered = head(examples=rows)
            differences = {name: _difference(values, answered[name]) for name, values in whole.items()}
        except _BROKEN:
            if is_candidate:
                raise
            return
        wrong = {name: difference for name, difference in differences.items() if difference is not None}
        if not wrong:
            self._answer, self.answers_rows = head, True
        elif is_candidate:
            name, difference = next(iter(wrong.items()))
            raise RunError(
                f"{self.path}: of the same records, this model gives {name} that differ by {difference:g} from those "
                "that it gives of their kept vectors; remove the folder `store` beside the artifacts, and run again"
            )


def _difference(whole: tf.Tensor, head: tf.Tensor) -> float | None:
    """By how much two answers differ; None where that is rounding."""
    difference = float(tf.reduce_max(tf.abs(whole - head)))
    return None if difference <= _TOLERANCE * max(1.0, float(tf.reduce_max(tf.abs(whole)))) else difference


def _load(path: str) -> Any:
    """The signature of a SavedModel that answers examples."""
    try:
        answer = load_exported(path).signatures.get(export.SERVING)
    except (UserError, OSError, ValueError, *_BROKEN) as error:
        reason = tensorflow_reason(error) if isinstance(error, tf.errors.OpError) else str(error)
        raise UserError(f"{path}: TensorFlow cannot load this version: {reason}") from error
    if answer is None:
        raise UserError(f"{path}: this model does not answer in a signature '{export.SERVING}'")
    return answer
