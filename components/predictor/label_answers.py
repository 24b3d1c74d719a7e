"""Converts the outputs of an exported model to JSON values, for each kind of label."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from hubline.core.errors import UserError
from hubline.preprocessing.labels.parts import LabelParts
from hubline.trainer.task import BOX, CHOSEN, CLASSES, COVERS, LABEL, MASK, SCORE, SCORES, VALUE

Arrays: TypeAlias = Mapping[str, np.ndarray]
Read: TypeAlias = Callable[[Arrays], Iterator[dict[str, Any]]]

SHARES = "shares"
"""Fraction of the image's pixels in each class, in the order of `CLASSES`."""


@dataclass(frozen=True)
class LabelAnswers:
    """The outputs of a model for one kind of label."""

    outputs: frozenset[str]
    """Names of the outputs. They identify the kind, because a pushed model comes without its pipeline file."""
    read: Read
    """Converts the outputs for a batch to one JSON object per item."""


def reading(outputs: Arrays) -> Read:
    """The function that converts such outputs to JSON values.

    Raises:
        UserError: if no kind of label has these outputs.
    """
    names = frozenset(outputs)
    for part in ANSWERS.by_kind.values():
        if part.outputs == names:
            return part.read
    raise UserError(f"the model's outputs belong to no kind of label: {', '.join(sorted(names))}")


def _shares(answer: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    for classes, mask, covers in zip(answer[CLASSES].tolist(), answer[MASK], answer[COVERS].tolist(), strict=True):
        inside = _inside(mask, covers)
        shares = np.bincount(inside.ravel(), minlength=len(classes)) / max(inside.size, 1)
        yield {
            SHARES: {name.decode(): share for name, share in zip(classes, shares.tolist(), strict=True)},
            COVERS: covers,
        }


def _inside(mask: np.ndarray, covers: Sequence[float]) -> np.ndarray:
    """The part of a mask inside the image, without the padding of `fit: pad`.

    Args:
        mask: [height, width].
        covers: Extent of the mask as [top, left, bottom, right] in fractions of the image; below 0 and above 1 is
            padding.
    """
    top, left, bottom, right = covers
    rows, columns = _centres(top, bottom, mask.shape[0]), _centres(left, right, mask.shape[1])
    return mask[(rows > 0) & (rows < 1)][:, (columns > 0) & (columns < 1)]


def _centres(begin: float, end: float, size: int) -> np.ndarray:
    """Centres of `size` pixels that evenly divide an interval."""
    return begin + (end - begin) * (np.arange(size) + 0.5) / size


def _values(answer: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    for value in answer[VALUE].tolist():
        yield {"value": value}


def _classes(answer: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    rows = zip(*(answer[name].tolist() for name in (LABEL, SCORE, CLASSES, SCORES)), strict=True)
    boxes = [{"box": box} for box in answer[BOX].tolist()] if BOX in answer else [{}] * len(answer[LABEL])
    for (label, score, classes, scores), box in zip(rows, boxes, strict=True):
        by_class = {name.decode(): value for name, value in zip(classes, scores, strict=True)}
        yield {"label": label.decode(), "score": score, "scores": by_class} | box


def _chosen(answer: Mapping[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    rows = zip(*(answer[name].tolist() for name in (CLASSES, SCORES, CHOSEN)), strict=True)
    for classes, scores, chosen in rows:
        by_class = {name.decode(): value for name, value in zip(classes, scores, strict=True)}
        names = [name for name, is_chosen in zip(by_class, chosen, strict=True) if is_chosen]
        yield {"chosen": sorted(names, key=lambda name: -by_class[name]), "scores": by_class}


_OF_CLASSES = LabelAnswers(frozenset({LABEL, SCORE, CLASSES, SCORES}), _classes)
ANSWERS = LabelParts[LabelAnswers](
    "answers of predict, in components/predictor/label_answers.py",
    {
        "class": _OF_CLASSES,
        "binary": _OF_CLASSES,
        "multilabel": LabelAnswers(frozenset({CLASSES, SCORES, CHOSEN}), _chosen),
        "regression": LabelAnswers(frozenset({VALUE}), _values),
        "class_and_box": LabelAnswers(frozenset({LABEL, SCORE, CLASSES, SCORES, BOX}), _classes),
        "pixels": LabelAnswers(frozenset({MASK, CLASSES, COVERS}), _shares),
    },
)
