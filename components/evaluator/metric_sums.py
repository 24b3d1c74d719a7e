"""What each metric is made of: numbers of each example, and the metric of their sums, so that samples of examples can
be drawn again and again. The values are those that TFMA gives; `auc` is no such metric, and has a file of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hubline.artifacts.predictions import Predicted
from hubline.trainer.boxes import iou
from hubline.trainer.metric_names import Metric

_TOP = 3
_LEAST = 1e-7
"""As near to 0 and 1 as a probability comes in Keras' cross-entropies."""


@dataclass(frozen=True)
class Sums:
    """A metric by its sums."""

    of_each: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Of what is true and what is predicted, as they are kept, [batch, n]: float64 of shape [batch, k]."""
    value: Callable[[np.ndarray], np.ndarray]
    """Of sums, [..., k]: the metric, [...]; NaN where it is not defined."""


def sums_of(predicted: Predicted) -> Mapping[Metric, Sums]:
    """The metrics of a kind of label, but for `auc`."""
    count = len(predicted.classes)
    return {
        "multilabel": lambda: _of_any_classes(count),
        "regression": lambda: _of_numbers(predicted.centre),
        "class_and_box": lambda: _of_classes(count) | _of_boxes(),
        "pixels": lambda: _of_pixels(count),
    }.get(predicted.kind, lambda: _of_classes(count))()


def _of_classes(classes: int) -> dict[Metric, Sums]:
    def index(true: np.ndarray) -> np.ndarray:
        return true[:, 0].astype(np.int64)

    def hit(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        return told[:, :classes].argmax(axis=1) == index(true)

    def among_best(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        scores = told[:, :classes]
        return (scores > np.take_along_axis(scores, index(true)[:, np.newaxis], axis=1)).sum(axis=1) < _TOP

    def loss(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        scores = np.clip(told[:, :classes].astype(np.float64), _LEAST, 1 - _LEAST)
        own = np.take_along_axis(scores, index(true)[:, np.newaxis], axis=1)[:, 0]
        return np.log(scores.sum(axis=1)) - np.log(own)

    def counts(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        return _counts(index(true) == 1, told[:, :classes].argmax(axis=1) == 1)

    return {
        "accuracy": mean(hit),
        "top_3_accuracy": mean(among_best),
        "cross_entropy": mean(loss),
        "precision": Sums(counts, _precision),
        "recall": Sums(counts, _recall),
        "f1": Sums(counts, _f1),
    }


def _of_any_classes(classes: int) -> dict[Metric, Sums]:
    def chosen(told: np.ndarray) -> np.ndarray:
        return told[:, classes:] > 0.5

    def loss(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        scores = np.clip(told[:, :classes].astype(np.float64), _LEAST, 1 - _LEAST)
        of_each = np.where(true > 0, np.log(scores + _LEAST), np.log(1 - scores + _LEAST))
        return -of_each.mean(axis=1)

    def counts(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        return _counts(true > 0, chosen(told)).reshape(len(true), 3, classes).sum(axis=2)

    def counts_by_class(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        return _counts(true > 0, chosen(told))

    def macro_f1(sums: np.ndarray) -> np.ndarray:
        of_each = _f1(np.moveaxis(sums.reshape(*sums.shape[:-1], 3, classes), -2, -1))
        return _mean_of_defined(of_each)

    return {
        "cross_entropy": mean(loss),
        "exact_match": mean(lambda true, told: ((true > 0) == chosen(told)).all(axis=1)),
        "precision": Sums(counts, _precision),
        "recall": Sums(counts, _recall),
        "f1": Sums(counts, _f1),
        "macro_f1": Sums(counts_by_class, macro_f1),
    }


def _of_numbers(centre: float) -> dict[Metric, Sums]:
    def off(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        return told[:, 0] - true[:, 0]

    def moments(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        values = true[:, 0] - centre
        return np.stack([np.ones_like(values), values, values**2, off(true, told) ** 2], axis=1)

    def explained(sums: np.ndarray) -> np.ndarray:
        count, total, squares, residual = np.moveaxis(sums, -1, 0)
        variance = squares - total**2 / count
        return 1 - _divide(residual, np.where(variance > _ROUNDING * squares, variance, 0.0))

    squared = mean(lambda true, told: off(true, told) ** 2)
    return {
        "rmse": Sums(squared.of_each, lambda sums: np.sqrt(squared.value(sums))),
        "mae": mean(lambda true, told: np.abs(off(true, told))),
        "r2": Sums(moments, explained),
    }


def _of_boxes() -> dict[Metric, Sums]:
    def overlap(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        return iou(true[:, 1:].astype(np.float32), told[:, -4:].astype(np.float32)).numpy()

    return {"mean_iou": mean(overlap), "iou_50": mean(lambda true, told: overlap(true, told) >= 0.5)}


def _of_pixels(classes: int) -> dict[Metric, Sums]:
    def matrices(told: np.ndarray) -> np.ndarray:
        return told.reshape(-1, classes, classes).astype(np.float64)

    def overlaps(_: np.ndarray, told: np.ndarray) -> np.ndarray:
        of_each = matrices(told)
        hits = np.diagonal(of_each, axis1=1, axis2=2)
        return np.concatenate([hits, of_each.sum(axis=1) + of_each.sum(axis=2) - hits], axis=1)

    def right(_: np.ndarray, told: np.ndarray) -> np.ndarray:
        of_each = matrices(told)
        return np.stack([np.trace(of_each, axis1=1, axis2=2), of_each.sum(axis=(1, 2))], axis=1)

    return {
        "mean_iou": Sums(overlaps, lambda sums: _mean_of_defined(_divide(sums[..., :classes], sums[..., classes:]))),
        "pixel_accuracy": Sums(right, lambda sums: _divide(sums[..., 0], sums[..., 1])),
    }


def mean(measure: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Sums:
    """The mean of what a function gives of each example."""

    def of_each(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        values = measure(true, told).astype(np.float64)
        return np.stack([np.ones_like(values), values], axis=1)

    return Sums(of_each, lambda sums: _divide(sums[..., 1], sums[..., 0]))


def _counts(true: np.ndarray, told: np.ndarray) -> np.ndarray:
    """True and false positives and false negatives, [batch, 3 x classes], of bool [batch] or [batch, classes]."""
    found = [counted.reshape(len(true), -1) for counted in (true & told, ~true & told, true & ~told)]
    return np.concatenate(found, axis=1).astype(np.float64)


def _precision(sums: np.ndarray) -> np.ndarray:
    return _divide(sums[..., 0], sums[..., 0] + sums[..., 1])


def _recall(sums: np.ndarray) -> np.ndarray:
    return _divide(sums[..., 0], sums[..., 0] + sums[..., 2])


def _f1(sums: np.ndarray) -> np.ndarray:
    return _divide(2 * sums[..., 0], 2 * sums[..., 0] + sums[..., 1] + sums[..., 2])


def _divide(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is not NaN."""
    there = ~np.isnan(values)
    return _divide(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1).astype(np.float64))


_ROUNDING = 1e-13
"""What is less than this share of a sum of squares is nothing but rounding."""
