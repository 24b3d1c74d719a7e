"""Evaluation of label `class_and_box`: a class and a box for each record."""

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import OBJECTS, PredictionsMetadata
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit, truths
from hubline.components.evaluator.labels import classes as of_classes
from hubline.components.evaluator.labels.classes import ClassReader
from hubline.components.evaluator.labels.label import KeptColumns, LabelEvaluation
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.metric_sums import MetricFromSums, mean
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel
from hubline.trainer.boxes import iou
from hubline.trainer.inputs import Tensors
from hubline.trainer.metric_names import MetricName
from hubline.trainer.task import BOX, CLASSES, SCORES


class _ClassAndBoxReader(ClassReader):
    """Reads class indices followed by boxes, and scores by class followed by boxes."""

    answers = (CLASSES, SCORES, BOX)
    kept = (SCORES, BOX)
    label: ClassAndBoxLabel

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        index = tf.cast(super().truth(records), tf.float32)
        return tf.concat([index, self.label.boxes(self.read(records))], axis=1)

    def predictions(self, model: str, answer: Tensors) -> tf.Tensor:
        return tf.concat([super().predictions(model, answer), answer[BOX]], axis=1)

    def extra_columns(self, records: tf.Tensor) -> Tensors:
        return {OBJECTS: self.label.objects(self.read(records))[:, tf.newaxis]}


def sums(metric: MetricName, predicted: PredictionsMetadata) -> MetricFromSums | None:
    """A metric for a class and a box as a function of sums; None for areas under curves."""

    def overlap(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return iou(true[:, 1:].astype(np.float32), predictions[:, -4:].astype(np.float32)).numpy()

    match metric.family:
        case "mean_iou":
            return mean(overlap)
        case "iou_50":
            return mean(lambda true, predictions: overlap(true, predictions) >= 0.5)
    return of_classes.sums(metric, predicted)


def _constants(reader: Reader, split: TrainingSplit) -> ConstantPredictions:
    truth = np.concatenate(list(truths(reader, split)))
    shares = of_classes.class_shares(truth, reader.predicted)
    box = np.median(truth[:, 1:], axis=0)
    words = f"the median box [{', '.join(f'{side:.3g}' for side in box)}]"
    classes = of_classes.constants_of(shares, reader.predicted)

    def special(metric: MetricName) -> tuple[np.ndarray, str] | None:
        found = classes.special(metric)
        return None if found is None else (np.concatenate([found[0], box]), found[1])

    return ConstantPredictions(
        default=np.concatenate([shares, box]),
        default_description=classes.default_description,
        special=special,
        words=lambda metric: words if metric.family in ("mean_iou", "iou_50") else classes.words(metric),
    )


def _columns(classes: int) -> KeptColumns:
    return KeptColumns(
        truth=tf.io.FixedLenFeature([5], tf.float32),
        prediction=tf.io.FixedLenFeature([classes + 4], tf.float32),
    )


EVALUATION = LabelEvaluation(
    reader=_ClassAndBoxReader,
    columns=_columns,
    sums=sums,
    constants=_constants,
    baseline_metrics=(("mean_iou",), ("cross_entropy", "accuracy")),
    is_of_class=of_classes.is_of_class,
)
