"""Evaluation of label `binary`: two classes, with precision, recall and F1 of the second.

Predictions are the two scores and the decision of the model, which has a threshold of its own."""

from dataclasses import replace

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import PredictionsMetadata
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit, truths
from hubline.components.evaluator.labels import classes as of_classes
from hubline.components.evaluator.labels.classes import ClassReader
from hubline.components.evaluator.labels.label import KeptColumns
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.metric_sums import MetricFromSums
from hubline.trainer.inputs import Tensors
from hubline.trainer.metric_names import MetricName
from hubline.trainer.task import LABEL


class _BinaryReader(ClassReader):
    """Reads class indices, and scores by class followed by decisions: the model's output `label`. A model without that
    output decides on the class with the highest score."""

    def predictions(self, model: str, answer: Tensors) -> tf.Tensor:
        scores = super().predictions(model, answer)
        index = self.table.lookup(answer[LABEL]) if LABEL in answer else tf.argmax(scores, axis=1)
        return tf.concat([scores, tf.one_hot(index, len(self.predicted.classes))], axis=1)


def sums(metric: MetricName, predicted: PredictionsMetadata) -> MetricFromSums | None:
    """A metric for two classes as a function of sums; None for areas under curves."""
    return of_classes.sums(metric, predicted, positive=1)


def constants_of(shares: np.ndarray, predicted: PredictionsMetadata) -> ConstantPredictions:
    """The best constants for given class shares, [classes]."""
    # For precision, recall and F1 of the second class, predicting that class is optimal.
    found = of_classes.constants_of(shares, predicted, positive=1)

    def special(metric: MetricName) -> tuple[np.ndarray, str] | None:
        given = found.special(metric)
        return None if given is None else (_decided(given[0]), given[1])

    return replace(found, default=_decided(found.default), special=special)


def _decided(scores: np.ndarray) -> np.ndarray:
    """Scores, [classes], and the decision for the highest."""
    return np.concatenate([scores, np.eye(len(scores))[scores.argmax()]])


def _constants(reader: Reader, split: TrainingSplit) -> ConstantPredictions:
    truth = np.concatenate(list(truths(reader, split)))
    return constants_of(of_classes.class_shares(truth, reader.predicted), reader.predicted)


def _columns(classes: int) -> KeptColumns:
    return KeptColumns(
        truth=tf.io.FixedLenFeature([1], tf.int64), prediction=tf.io.FixedLenFeature([2 * classes], tf.float32)
    )


EVALUATION = replace(of_classes.EVALUATION, reader=_BinaryReader, columns=_columns, sums=sums, constants=_constants)
