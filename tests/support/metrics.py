"""Metrics of classes by scikit-learn, under the names of the pipeline file; NaN where they are undefined."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from hubline.trainer.labels.parts import TRAINING
from hubline.trainer.metric_names import TOP

SCORES = {"precision": precision_score, "recall": recall_score, "f1": f1_score}


def numbers(metrics: Mapping[str, float | None]) -> dict[str, float]:
    """Metrics of a decision, with NaN for None."""
    return {name: np.nan if value is None else value for name, value in metrics.items()}


def names_of(kind: str, classes: Sequence[str], *ks: int) -> tuple[str, ...]:
    """All metrics of a label: for each of the classes, and for each k."""
    names: list[str] = []
    for family in TRAINING.of(kind).metrics:
        if family == TOP:
            names += [f"top_{k}_accuracy" for k in ks]
        elif "<class>" in family:
            names += [family.replace("<class>", name) for name in classes]
        else:
            names.append(family)
    return tuple(names)


def of_one_class(
    true: np.ndarray,
    scores: np.ndarray,
    classes: Sequence[str],
    *ks: int,
    positive: int | None = None,
    weights: np.ndarray | None = None,
    predicted: np.ndarray | None = None,
) -> dict[str, float]:
    """Metrics of labels with one class per record.

    Args:
        true: Class indices, [records].
        scores: [records, classes].
        classes: Class names.
        ks: The k of each top-k accuracy.
        positive: The class that `precision`, `recall`, `f1` and `pr_auc` are about.
        weights: Weights of the records.
        predicted: Indices of the predicted classes, [records]; by default those with the highest score.
    """
    every = np.arange(len(classes))
    best = scores.argmax(axis=1) if predicted is None else predicted
    found = _of_sets(true[:, np.newaxis] == every, best[:, np.newaxis] == every, scores, classes, weights)
    found["accuracy"] = accuracy_score(true, best, sample_weight=weights)
    found["cross_entropy"] = log_loss(true, scores.astype(np.float64), labels=every, sample_weight=weights)
    for k in ks:
        better = (scores > scores[np.arange(len(true)), true][:, np.newaxis]).sum(axis=1)
        found[f"top_{k}_accuracy"] = np.average(better < k, weights=weights)
    if positive is not None:
        found |= {name: found[f"{name}({classes[positive]})"] for name in (*SCORES, "pr_auc")}
    return found


def of_several_classes(
    true: np.ndarray,
    scores: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    weights: np.ndarray | None = None,
) -> dict[str, float]:
    """Metrics of labels with any number of classes per record; `true` and `predicted` are bool [records, classes]."""
    found = _of_sets(true, predicted, scores, classes, weights)
    for name, score in SCORES.items():
        found[name] = _micro(score, true, predicted, weights)
    found["exact_match"] = accuracy_score(true, predicted, sample_weight=weights)
    found["binary_accuracy"] = np.average((true == predicted).mean(axis=1), weights=weights)
    # Keras clips at 1e-7, and adds as much before the logarithm.
    clipped = np.clip(scores.astype(np.float64), 2e-7, 1 - 2e-7)
    found["cross_entropy"] = np.mean(
        [log_loss(true[:, k], clipped[:, k], labels=[0, 1], sample_weight=weights) for k in range(len(classes))]
    )
    return found


def _of_sets(
    true: np.ndarray, predicted: np.ndarray, scores: np.ndarray, classes: Sequence[str], weights: np.ndarray | None
) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, score in SCORES.items():
        of_each = [
            score(true[:, k], predicted[:, k], zero_division=np.nan, sample_weight=weights) for k in range(len(classes))
        ]
        found |= {f"{name}({each})": value for each, value in zip(classes, of_each, strict=True)}
        found[f"macro_{name}"] = _mean(of_each)
    found["micro_f1"] = _micro(f1_score, true, predicted, weights)
    # Scores are counted between 1,000 thresholds.
    bins = np.ceil(np.clip(np.float32(scores), 0, 1) * np.float32(999))
    areas, precisions = [], []
    for k in range(len(classes)):
        several = true[:, k].any() and not true[:, k].all()
        areas.append(roc_auc_score(true[:, k], bins[:, k], sample_weight=weights) if several else np.nan)
        some = true[:, k].any()
        precisions.append(average_precision_score(true[:, k], bins[:, k], sample_weight=weights) if some else np.nan)
    for name, values in (("auc", areas), ("pr_auc", precisions)):
        found |= {f"{name}({each})": value for each, value in zip(classes, values, strict=True)}
        found[name] = _mean(values)
    return found


def _mean(values: Sequence[float]) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else np.nan


def _micro(score: Callable[..., float], true: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
    """A score of all decisions about a class together."""
    of_each = None if weights is None else np.repeat(weights, true.shape[1])
    return score(true.ravel(), predicted.ravel(), zero_division=np.nan, sample_weight=of_each)
