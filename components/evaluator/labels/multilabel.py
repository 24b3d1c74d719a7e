"""Evaluation of label `multilabel`: any number of classes for each record."""

from collections import Counter
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import PredictionsMetadata
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit, truths
from hubline.components.evaluator.labels.classes import ClassReader
from hubline.components.evaluator.labels.label import KeptColumns, LabelEvaluation
from hubline.components.evaluator.labels.reader import Facts, Reader
from hubline.components.evaluator.metric_sums import LEAST, MetricFromSums, mean, of_confusion
from hubline.preprocessing.columns import ParsingSpec
from hubline.preprocessing.encoding_layers import CategoryCounts
from hubline.preprocessing.kinds.kind import Columns
from hubline.preprocessing.labels.label import LabelKind
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.trainer.inputs import Tensors
from hubline.trainer.metric_names import MetricName
from hubline.trainer.task import CHOSEN, CLASSES, SCORES

_SHOWN = 5


class _MultilabelReader(ClassReader):
    """Reads class membership, scores, and the classes that the model chooses with its own thresholds."""

    answers = (CLASSES, CHOSEN, SCORES)
    label: MultilabelLabel

    def __init__(self, label: LabelKind, spec: ParsingSpec, facts: Facts) -> None:
        super().__init__(label, spec, facts)
        self._multi_hot = CategoryCounts(len(self.predicted.classes), at_most_once=True, name="label")

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        indices = tf.sparse.map_values(self.table.lookup, self.label.names(self.read(records)))
        known = tf.sparse.retain(indices, indices.values >= 0)
        return tf.cast(self._multi_hot([known]), tf.int64)

    @staticmethod
    def names(label: Any, values: Columns) -> tf.Tensor:
        return label.names(values).values

    def predictions(self, model: str, answer: Tensors) -> tf.Tensor:
        chosen = tf.cast(answer[CHOSEN], tf.float32)
        return tf.concat([super().predictions(model, answer), self.arranged(model, chosen)], axis=1)


def sums(metric: MetricName, predicted: PredictionsMetadata) -> MetricFromSums | None:
    """A metric for multi-label classification as a function of sums; None for areas under curves."""
    classes = len(predicted.classes)

    def chosen(predictions: np.ndarray) -> np.ndarray:
        return predictions[:, classes:] > 0.5

    def loss(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        scores = np.clip(predictions[:, :classes].astype(np.float64), LEAST, 1 - LEAST)
        of_each = np.where(true > 0, np.log(scores + LEAST), np.log(1 - scores + LEAST))
        return -of_each.mean(axis=1)

    def right(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return (true > 0) == chosen(predictions)

    def classify(true: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return true > 0, chosen(predictions)

    match metric.family:
        case "cross_entropy":
            return mean(loss)
        case "exact_match":
            return mean(lambda true, predictions: right(true, predictions).all(axis=1))
        case "binary_accuracy":
            return mean(lambda true, predictions: right(true, predictions).mean(axis=1))
    return of_confusion(metric, classify, metric.index(predicted.classes))


def constants_of(sets: np.ndarray, counts: np.ndarray, predicted: PredictionsMetadata) -> ConstantPredictions:
    """The best constants for the given label sets.

    Args:
        sets: Distinct sets of classes, bool [sets, classes].
        counts: Number of records with each set, [sets].
        predicted: Kind of label and classes.
    """
    shares = counts @ sets / counts.sum()
    # The set with the best micro F1 consists of the most frequent classes.
    order = np.argsort(-shares, kind="stable")
    sizes = np.arange(1, len(shares) + 1)
    f1 = 2 * np.cumsum(shares[order]) / (sizes + shares.sum())
    best = np.isin(np.arange(len(shares)), order[: int(f1.argmax()) + 1])
    all_classes, commonest = np.ones(len(shares), bool), sets[int(counts.argmax())]

    def answer(chosen: np.ndarray) -> tuple[np.ndarray, str]:
        names = [name for name, is_chosen in zip(predicted.classes, chosen, strict=True) if is_chosen]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return np.concatenate([shares, chosen]), f"always {', '.join(map(repr, names[:_SHOWN])) or 'none'}{more}"

    def special(metric: MetricName) -> tuple[np.ndarray, str] | None:
        if metric.is_macro or metric.of is not None:
            return answer(all_classes)
        sets_of = {"exact_match": commonest, "binary_accuracy": shares > 0.5}
        chosen = sets_of.get(metric.family, best if metric.score in ("precision", "recall", "f1") else None)
        return None if chosen is None else answer(chosen)

    return ConstantPredictions(
        default=np.concatenate([shares, best]), default_description="the shares of the classes", special=special
    )


def _constants(reader: Reader, split: TrainingSplit) -> ConstantPredictions:
    counts: Counter[bytes] = Counter()
    for batch in truths(reader, split):
        counts.update(row.tobytes() for row in (batch > 0))
    sets = np.array([np.frombuffer(one, bool) for one in counts])
    return constants_of(sets, np.array(list(counts.values())), reader.predicted)


def _columns(classes: int) -> KeptColumns:
    return KeptColumns(
        truth=tf.io.FixedLenFeature([classes], tf.int64),
        prediction=tf.io.FixedLenFeature([2 * classes], tf.float32),
    )


def _is_of_class(true: np.ndarray, classes: int) -> np.ndarray:
    return true > 0


EVALUATION = LabelEvaluation(
    reader=_MultilabelReader,
    columns=_columns,
    sums=sums,
    constants=_constants,
    baseline_metrics=(("cross_entropy", "f1"),),
    is_of_class=_is_of_class,
)
