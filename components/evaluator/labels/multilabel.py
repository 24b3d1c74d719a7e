"""Evaluation of label `multilabel`: any number of classes for each record."""

from collections import Counter
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import PredictionsMetadata
from hubline.components.evaluator import classification_metrics
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit, truths
from hubline.components.evaluator.exported_model import ExportedModel
from hubline.components.evaluator.labels.classes import ClassReader
from hubline.components.evaluator.labels.label import KeptColumns, LabelEvaluation
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.macro_auc import MacroAUC
from hubline.components.evaluator.metric_definition import COUNTED, MetricDefinition
from hubline.components.evaluator.metric_sums import (
    LEAST,
    MetricFromSums,
    counts_of,
    f1_of,
    mean,
    mean_of_defined,
    precision_of,
    recall_of,
)
from hubline.components.evaluator.test_split import TestSplit
from hubline.preprocessing.columns import ParsingSpec
from hubline.preprocessing.encoding_layers import CategoryCounts
from hubline.preprocessing.labels.label import LabelKind
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.trainer.inputs import Tensors
from hubline.trainer.metric_names import Metric
from hubline.trainer.task import CHOSEN, CLASSES, SCORES

_SHOWN = 5


class _MultilabelReader(ClassReader):
    """Reads class membership, scores, and the classes that the model chooses with its own thresholds."""

    answers = (CLASSES, CHOSEN, SCORES)
    label: MultilabelLabel

    def __init__(
        self, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ExportedModel]
    ) -> None:
        super().__init__(label, spec, split, models)
        self._multi_hot = CategoryCounts(len(self.predicted.classes), at_most_once=True, name="label")

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        indices = tf.sparse.map_values(self.table.lookup, self.label.names(self.read(records)))
        known = tf.sparse.retain(indices, indices.values >= 0)
        return tf.cast(self._multi_hot([known]), tf.int64)

    def names(self, records: tf.Tensor) -> tf.Tensor:
        return self.label.names(self.read(records)).values

    def predictions(self, model: str, answer: Tensors) -> tf.Tensor:
        chosen = tf.cast(answer[CHOSEN], tf.float32)
        return tf.concat([super().predictions(model, answer), self.arranged(model, chosen)], axis=1)


def sums(predicted: PredictionsMetadata) -> dict[Metric, MetricFromSums]:
    """Metrics for multi-label classification as functions of sums; without `auc`."""
    classes = len(predicted.classes)

    def chosen(predictions: np.ndarray) -> np.ndarray:
        return predictions[:, classes:] > 0.5

    def loss(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        scores = np.clip(predictions[:, :classes].astype(np.float64), LEAST, 1 - LEAST)
        of_each = np.where(true > 0, np.log(scores + LEAST), np.log(1 - scores + LEAST))
        return -of_each.mean(axis=1)

    def counts(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return counts_of(true > 0, chosen(predictions)).reshape(len(true), 3, classes).sum(axis=2)

    def counts_by_class(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return counts_of(true > 0, chosen(predictions))

    def macro_f1(of_counts: np.ndarray) -> np.ndarray:
        of_each = f1_of(np.moveaxis(of_counts.reshape(*of_counts.shape[:-1], 3, classes), -2, -1))
        return mean_of_defined(of_each)

    return {
        "cross_entropy": mean(loss),
        "exact_match": mean(lambda true, predictions: ((true > 0) == chosen(predictions)).all(axis=1)),
        "precision": MetricFromSums(counts, precision_of),
        "recall": MetricFromSums(counts, recall_of),
        "f1": MetricFromSums(counts, f1_of),
        "macro_f1": MetricFromSums(counts_by_class, macro_f1),
    }


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

    return ConstantPredictions(
        default=np.concatenate([shares, best]),
        default_description="the shares of the classes",
        special={
            "f1": answer(best),
            "precision": answer(best),
            "recall": answer(best),
            "macro_f1": answer(all_classes),
            "exact_match": answer(commonest),
        },
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
    metrics={
        "f1": MetricDefinition.of(classification_metrics.MicroF1, by_class=True, several=True),
        "macro_f1": MetricDefinition.of(classification_metrics.MacroF1, by_class=True, several=True),
        "precision": MetricDefinition.of(classification_metrics.MicroPrecision, by_class=True, several=True),
        "recall": MetricDefinition.of(classification_metrics.MicroRecall, by_class=True, several=True),
        "auc": MetricDefinition.of(MacroAUC, by_class=True, several=True),
        "cross_entropy": MetricDefinition.of(classification_metrics.MeanBinaryCrossEntropy, **COUNTED),
        "exact_match": MetricDefinition.of(classification_metrics.SubsetAccuracy, by_class=True),
    },
    sums=sums,
    constants=_constants,
    baseline_metrics=(("cross_entropy", "f1"),),
    is_of_class=_is_of_class,
)
