"""Compares answers of a server with those of the trained model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hubline.trainer.exports.differences import differences
from hubline.trainer.task import CHOSEN, CLASSES, LABEL, MASK, SCORE, SCORES

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Agreement:
    """How far answers are from those that were expected."""

    difference: float | None
    """Greatest difference of floats; None if names, shapes, dtypes or a value that is not finite forbid a
    comparison."""
    fault: str | None
    """Why they don't agree; None if they do."""


def compare(expected: Arrays, found: Arrays, tolerance: float) -> Agreement:
    """Compares outputs by name, dtype, shape and value.

    Floats may differ by the tolerance, in the measure of `differences`. All others are equal, except where a difference
    within the tolerance decides: a label between classes whose scores are as close; the second of two classes, or a
    chosen class, where one threshold explains both answers; and of the pixels of masks a share as large as the
    tolerance.

    Args:
        expected: Outputs of the trained model, [records, ...].
        found: Outputs of the server.
        tolerance: The greatest difference that agrees.
    """
    if fault := _other_form(expected, found):
        return Agreement(None, fault)
    measured = differences(_with_score_of_labels(expected, found), found)
    for name, difference in measured.items():
        if difference is None:
            return Agreement(None, f"output '{name}' has values that are not finite")
    of_floats = {name: value for name, value in measured.items() if expected[name].dtype.kind == "f"}
    for name, value in of_floats.items():
        if value is not None and value > tolerance:
            return Agreement(_greatest(of_floats), f"output '{name}' differs by {value:.2g} (at most {tolerance:g})")
    for name in measured.keys() - of_floats.keys():
        wrong, count = int(_wrong(name, expected, found, tolerance).sum()), expected[name].size
        if wrong > (tolerance * count if name == MASK else 0):
            return Agreement(_greatest(of_floats), f"output '{name}' differs in {wrong:,} of {count:,} values")
    return Agreement(_greatest(of_floats), None)


def _greatest(measured: Mapping[str, float | None]) -> float:
    return max((value for value in measured.values() if value is not None), default=0.0)


def _other_form(expected: Arrays, found: Arrays) -> str | None:
    """A difference in names, dtypes or shapes."""
    if expected.keys() != found.keys():
        return f"the outputs are {_listed(found)}, not {_listed(expected)}"
    for name, array in expected.items():
        there = found[name]
        if there.dtype != array.dtype:
            return f"output '{name}' has the dtype {there.dtype}, not {array.dtype}"
        if there.shape != array.shape:
            return f"output '{name}' has the shape {list(there.shape)}, not {list(array.shape)}"
    return None


def _listed(outputs: Arrays) -> str:
    return ", ".join(f"'{name}'" for name in sorted(outputs)) or "none"


def _wrong(name: str, expected: Arrays, found: Arrays, tolerance: float) -> np.ndarray:
    """Which values differ, and not because of a difference of the scores within the tolerance."""
    differs = expected[name] != found[name]
    if name == LABEL and {CLASSES, SCORES} <= expected.keys():
        return differs & ~_undecided(expected, found, tolerance)
    if name == CHOSEN and SCORES in expected:
        return differs & ~_one_threshold(expected[SCORES], expected[CHOSEN], found[SCORES], found[CHOSEN])
    return differs


def _undecided(expected: Arrays, found: Arrays, tolerance: float) -> np.ndarray:
    """Where a label may be another one, [records]: the scores of both are as close as the tolerance lets them become
    equal, or, of two classes, the same threshold decides for each."""
    old, new = _score_of(expected, expected[LABEL]), _score_of(expected, found[LABEL])
    if expected[CLASSES].shape[1] == 2 and np.isfinite(new).all():
        second = expected[CLASSES][:, 1]
        scores = expected[SCORES][:, 1], found[SCORES][:, 1]
        if _one_threshold(scores[0], expected[LABEL] == second, scores[1], found[LABEL] == second):
            return np.ones(len(old), bool)
    return np.abs(old - new) <= 2 * tolerance


def _one_threshold(scores: np.ndarray, chosen: np.ndarray, others: np.ndarray, others_chosen: np.ndarray) -> bool:
    """Whether there is a score from which everything is chosen, and below which nothing, in two answers."""
    lowest = min(scores[chosen].min(initial=np.inf), others[others_chosen].min(initial=np.inf))
    highest = max(scores[~chosen].max(initial=-np.inf), others[~others_chosen].max(initial=-np.inf))
    return bool(highest < lowest)


def _score_of(answer: Arrays, labels: np.ndarray) -> np.ndarray:
    """The score of a label in each record, [records]; minus infinity for what is no class."""
    return np.where(answer[CLASSES] == labels[:, np.newaxis], answer[SCORES], -np.inf).max(axis=1)


def _with_score_of_labels(expected: Arrays, found: Arrays) -> Arrays:
    """What is expected, with the score of the label that was found: whether that may differ is judged by itself."""
    if not {LABEL, SCORE, CLASSES, SCORES} <= expected.keys():
        return expected
    other = expected[LABEL] != found[LABEL]
    scores = _score_of(expected, found[LABEL])
    return {**expected, SCORE: np.where(other & np.isfinite(scores), scores, expected[SCORE])}
