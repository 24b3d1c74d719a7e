"""Evaluation of label `class`: one class for each record."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, SERVING, PredictionsMetadata
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit, truths
from hubline.components.evaluator.exported_model import ExportedModel, ServingModelError
from hubline.components.evaluator.labels.label import KeptColumns, LabelEvaluation
from hubline.components.evaluator.labels.reader import ROWS_AT_ONCE, Facts, Reader, columns
from hubline.components.evaluator.metric_sums import LEAST, MetricFromSums, mean, of_confusion
from hubline.components.evaluator.test_split import TestSplit
from hubline.core.shard_dataset import read_records
from hubline.preprocessing.columns import ParsingSpec
from hubline.preprocessing.kinds.kind import Columns
from hubline.preprocessing.labels.label import ClassesKind, LabelKind
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.trainer.inputs import Tensors
from hubline.trainer.metric_names import MetricName
from hubline.trainer.task import CLASSES, SCORES

_SHOWN_CLASSES = 10
_OF_POSITIVE = ("precision", "recall", "f1")
"""Metrics of the second of two classes."""


class ClassReader(Reader):
    """Reads class indices, and scores by class."""

    answers: Sequence[str] = (CLASSES, SCORES)
    kept: Sequence[str] = (SCORES,)
    label: ClassesKind | MultilabelLabel

    def __init__(self, label: LabelKind, spec: ParsingSpec, facts: Facts) -> None:
        super().__init__(label, spec, facts)
        classes = self.predicted.classes
        self._order = {name: _order(of_model, classes) for name, of_model in facts.known.items()}
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(classes, tf.range(len(classes), dtype=tf.int64)), -1
        )

    @classmethod
    def survey(
        cls, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ExportedModel]
    ) -> Facts:
        known = known_classes(split, models)
        rows = read_records(split.rows).batch(ROWS_AT_ONCE)
        names = rows.map(lambda batch: cls.names(label, columns(batch, spec)), num_parallel_calls=tf.data.AUTOTUNE)
        found = sorted(name.decode() for name in names.unbatch().unique().as_numpy_iterator())
        classes = list(dict.fromkeys([*chain(*known.values()), *found]))
        return Facts(PredictionsMetadata(label.kind, classes), known)

    def notes(self, seen: Mapping[str, float]) -> list[str]:
        """How the classes of the two models differ."""
        return class_notes(self.facts.known)

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        """Class indices, int64 [batch, 1]."""
        return self.table.lookup(self.names(self.label, self.read(records)))[:, tf.newaxis]

    @staticmethod
    def names(label: Any, values: Columns) -> tf.Tensor:
        """All class names in the label's columns, concatenated."""
        return label.names(values)

    def predictions(self, model: str, answer: Tensors) -> tf.Tensor:
        """Scores in the order of all classes, float32 [batch, classes]."""
        return self.arranged(model, answer[SCORES])

    def arranged(self, model: str, scores: tf.Tensor) -> tf.Tensor:
        """Reorders a model's scores to the order of all classes; 0 for classes that the model does not know."""
        return tf.gather(tf.pad(scores, [[0, 0], [0, 1]]), self._order[model], axis=1)


def known_classes(split: TestSplit, models: Mapping[str, ExportedModel]) -> dict[str, list[str]]:
    """The classes of each model, in the order of its scores.

    Raises:
        ServingModelError: if the two models have no class in common.
    """
    record, row = next(iter(split.both().batch(1)))
    outputs = {name: model.answer(row if model.answers_rows else record) for name, model in models.items()}
    known = {name: [text.decode() for text in predictions[CLASSES][0].numpy()] for name, predictions in outputs.items()}
    if SERVING in known and not set(known[SERVING]) & set(known[CANDIDATE]):
        raise ServingModelError(
            f"{models[SERVING].path}: its classes ({_shown(known[SERVING])}) don't overlap with those of "
            f"this model ({_shown(known[CANDIDATE])})"
        )
    return known


def class_notes(known: Mapping[str, Sequence[str]]) -> list[str]:
    """Sentences on the differences between the two models' classes."""
    if SERVING not in known:
        return []
    new = [name for name in known[CANDIDATE] if name not in known[SERVING]]
    gone = [name for name in known[SERVING] if name not in known[CANDIDATE]]
    notes = []
    if new:
        notes.append(f"the version that serves does not know the classes {_shown(new)}: these count against it")
    if gone:
        notes.append(f"the version that serves knows classes that this model does not: {_shown(gone)}")
    return notes


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_CLASSES} more" if len(names) > _SHOWN_CLASSES else ""
    return ", ".join(names[:_SHOWN_CLASSES]) + more


def _order(known: Sequence[str], classes: Sequence[str]) -> tf.Tensor:
    """Position of each class in a model's own order; one past the last for a class that the model does not know."""
    positions = {name: position for position, name in enumerate(known)}
    return tf.constant([positions.get(name, len(known)) for name in classes])


def sums(metric: MetricName, predicted: PredictionsMetadata, positive: int | None = None) -> MetricFromSums | None:
    """A metric for one class as a function of sums; None for areas under curves.

    Labels begin with the class index, predictions with the scores. `positive` is the index of the class that
    `precision`, `recall` and `f1` are about; its predictions go on with decisions.
    """
    classes, k = len(predicted.classes), metric.k

    def index(true: np.ndarray) -> np.ndarray:
        return true[:, 0].astype(np.int64)

    def decisions(predictions: np.ndarray) -> np.ndarray:
        if positive is not None:
            return predictions[:, classes:] > 0.5
        return predictions[:, :classes].argmax(axis=1)[:, np.newaxis] == np.arange(classes)

    def own(true: np.ndarray, scores: np.ndarray) -> np.ndarray:
        return np.take_along_axis(scores, index(true)[:, np.newaxis], axis=1)

    def in_top(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        scores = predictions[:, :classes]
        return (scores > own(true, scores)).sum(axis=1) < k

    def loss(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        scores = np.clip(predictions[:, :classes].astype(np.float64), LEAST, 1 - LEAST)
        return np.log(scores.sum(axis=1)) - np.log(own(true, scores)[:, 0])

    def classify(true: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return is_of_class(true, classes), decisions(predictions)

    def right(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return np.logical_and(*classify(true, predictions)).any(axis=1)

    if k is not None:
        return mean(in_top)
    match metric.family:
        case "accuracy":
            return mean(right)
        case "cross_entropy":
            return mean(loss)
    of = positive if metric.family in _OF_POSITIVE else metric.index(predicted.classes)
    return of_confusion(metric, classify, of)


def class_shares(truth: np.ndarray, predicted: PredictionsMetadata) -> np.ndarray:
    """Share of each class, [classes], in stored labels, [records, n]."""
    index = truth[:, 0].astype(np.int64)
    return np.bincount(index[index >= 0], minlength=len(predicted.classes)) / max((index >= 0).sum(), 1)


def constants_of(
    shares: np.ndarray, predicted: PredictionsMetadata, positive: int | None = None
) -> ConstantPredictions:
    """The best constants for given class shares, [classes]; `positive` as for `sums`."""
    ranked = [predicted.classes[place] for place in np.argsort(-shares, kind="stable")]

    def special(metric: MetricName) -> tuple[np.ndarray, str] | None:
        """For precision, recall and F1 of a class, predicting that class is optimal."""
        of = positive if metric.family in _OF_POSITIVE else metric.index(predicted.classes)
        if of is None or metric.score not in _OF_POSITIVE:
            return None
        return np.eye(len(shares))[of], f"always '{predicted.classes[of]}'"

    def words(metric: MetricName) -> str | None:
        if metric.k is not None:
            return f"always {', '.join(map(repr, ranked[: metric.k]))}"
        return None if metric.family == "cross_entropy" else f"always '{ranked[0]}'"

    return ConstantPredictions(
        default=shares, default_description="the shares of the classes", special=special, words=words
    )


def _constants(reader: Reader, split: TrainingSplit) -> ConstantPredictions:
    truth = np.concatenate(list(truths(reader, split)))
    return constants_of(class_shares(truth, reader.predicted), reader.predicted)


def _columns(classes: int) -> KeptColumns:
    return KeptColumns(
        truth=tf.io.FixedLenFeature([1], tf.int64), prediction=tf.io.FixedLenFeature([classes], tf.float32)
    )


def is_of_class(true: np.ndarray, classes: int) -> np.ndarray:
    """As `LabelEvaluation.is_of_class`, for labels that begin with the class index."""
    return true[:, :1].astype(np.int64) == np.arange(classes)


EVALUATION = LabelEvaluation(
    reader=ClassReader,
    columns=_columns,
    sums=sums,
    constants=_constants,
    baseline_metrics=(("cross_entropy", "accuracy"),),
    is_of_class=is_of_class,
)
