"""Evaluation of label `pixels`: a confusion matrix of the pixels of each image."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import cast

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, LABEL, SERVING, PredictionsMetadata
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit
from hubline.components.evaluator.exported_model import ExportedModel
from hubline.components.evaluator.labels.classes import class_notes, known_classes
from hubline.components.evaluator.labels.label import KeptColumns, LabelEvaluation
from hubline.components.evaluator.labels.reader import Facts, Reader
from hubline.components.evaluator.metric_sums import MetricFromSums, divide, mean_of_defined
from hubline.components.evaluator.test_split import TestSplit
from hubline.core.shard_dataset import read_decodable
from hubline.preprocessing import masks
from hubline.preprocessing.columns import ParsingSpec, one_each
from hubline.preprocessing.labels.label import LabelKind
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.trainer.inputs import Tensors
from hubline.trainer.metric_names import Metric, MetricName
from hubline.trainer.metrics.pixels import confusion
from hubline.trainer.task import CLASSES, COVERS, MASK

_CLEARLY = 0.01
_MOST_PICTURES = 2000


class _PixelReader(Reader):
    """Computes the confusion matrix of each image, in the size and part of the image that each model predicts."""

    answers: Sequence[str] = (CLASSES, MASK, COVERS)
    kept: Sequence[str] = ()
    label: PixelsLabel

    def __init__(self, label: LabelKind, spec: ParsingSpec, facts: Facts) -> None:
        super().__init__(label, spec, facts)
        classes = self.predicted.classes
        self._order = {name: tf.constant(list(map(classes.index, known))) for name, known in facts.known.items()}

    @classmethod
    def survey(
        cls, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ExportedModel]
    ) -> Facts:
        known = known_classes(split, models)
        # True masks contain the label's own class numbers.
        classes = list(dict.fromkeys([*cast(PixelsLabel, label).classes, *chain(*known.values())]))
        return Facts(PredictionsMetadata(label.kind, classes), known)

    def seen(self, outputs: Mapping[str, Tensors]) -> dict[str, float]:
        """The parts of the images that each model sees."""
        return {name: float(tf.reduce_sum(_area(answer[COVERS]))) for name, answer in outputs.items()}

    def notes(self, seen: Mapping[str, float]) -> list[str]:
        notes = class_notes(self.facts.known)
        if SERVING in seen and abs(seen[SERVING] - seen[CANDIDATE]) > _CLEARLY:
            notes.append(
                f"the version that serves sees {seen[SERVING]:.0%} of a picture on average, and this model "
                f"{seen[CANDIDATE]:.0%}; each is judged on the part that it sees"
            )
        return notes

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError  # labels depend on the size and the part of the image that a model predicts

    def predictions(self, model: str, answer: Tensors) -> tf.Tensor:
        raise NotImplementedError  # only the comparison with the labels is stored

    def compared(self, records: tf.Tensor, rows: tf.Tensor, outputs: Mapping[str, Tensors]) -> Tensors:
        encoded = one_each(tf.io.parse_example(records, self.spec)[self.label.column])
        found = {name: self._confusion(name, encoded, answer) for name, answer in outputs.items()}
        return {LABEL: tf.reduce_sum(found[CANDIDATE], axis=1, keepdims=True)} | found

    def _confusion(self, model: str, encoded: tf.Tensor, answer: Tensors) -> tf.Tensor:
        predictions = tf.gather(self._order[model], tf.cast(answer[MASK], tf.int32))
        size = tuple(predictions.shape[1:])
        true = tf.map_fn(
            lambda one: masks.seen(self.label, one[0], one[1], size),
            (encoded, answer[COVERS]),
            fn_output_signature=tf.TensorSpec([*size, 1], tf.uint8),
        )
        return confusion(tf.cast(true[..., 0], tf.int32), predictions, len(self.predicted.classes))

    def masks(self, outputs: Mapping[str, Tensors]) -> tf.Tensor:
        predictions = tf.cast(tf.gather(self._order[CANDIDATE], tf.cast(outputs[CANDIDATE][MASK], tf.int32)), tf.uint8)
        return tf.map_fn(tf.io.encode_png, predictions[..., tf.newaxis], fn_output_signature=tf.string)


def _area(covers: tf.Tensor) -> tf.Tensor:
    """Fraction of each image covered by boxes, [batch, 4]."""
    inside = tf.clip_by_value(covers, 0.0, 1.0)
    return (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1])


def sums(metric: MetricName, predicted: PredictionsMetadata) -> MetricFromSums:
    """A metric for pixels as a function of summed confusion matrices."""
    classes, of = len(predicted.classes), metric.index(predicted.classes)

    def matrices(predictions: np.ndarray) -> np.ndarray:
        return predictions.reshape(-1, classes, classes).astype(np.float64)

    def overlaps(_: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        of_each = matrices(predictions)
        hits = np.diagonal(of_each, axis1=1, axis2=2)
        return np.concatenate([hits, of_each.sum(axis=1) + of_each.sum(axis=2) - hits], axis=1)

    def right(_: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        of_each = matrices(predictions)
        return np.stack([np.trace(of_each, axis1=1, axis2=2), of_each.sum(axis=(1, 2))], axis=1)

    def ious(found: np.ndarray) -> np.ndarray:
        return divide(found[..., :classes], found[..., classes:])

    if metric.family == "pixel_accuracy":
        return MetricFromSums(right, lambda found: divide(found[..., 0], found[..., 1]))
    return MetricFromSums(overlaps, lambda found: mean_of_defined(ious(found)) if of is None else ious(found)[..., of])


def _constants(reader: Reader, split: TrainingSplit) -> ConstantPredictions:
    """The most frequent class, counted in at most 2,000 records spread evenly over the split."""
    label = cast(PixelsLabel, reader.label)

    def counted(record: tf.Tensor) -> tf.Tensor:
        encoded = one_each(tf.io.parse_example(record[tf.newaxis], reader.spec)[label.column])
        return masks.counts(label, encoded[0])

    every = -(-split.count // _MOST_PICTURES)
    pictures = read_decodable(split.records, split.undecodable, in_order=True).shard(every, 0)
    total = sum(pictures.map(counted, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    most = label.classes[int(np.argmax(total))]
    return _ConstantPixels(
        default=np.array(reader.predicted.classes.index(most)), default_description=f"always '{most}'"
    )


class _ConstantPixels(ConstantPredictions):
    """One class for all pixels, as its index, []."""

    def predictions(self, metric: Metric, candidate: np.ndarray) -> np.ndarray:
        classes = round(candidate.shape[1] ** 0.5)
        true = candidate.reshape(-1, classes, classes).sum(axis=2, keepdims=True)
        return (true * (np.arange(classes) == self.default)).reshape(candidate.shape)


def _columns(classes: int) -> KeptColumns:
    return KeptColumns(
        truth=tf.io.FixedLenFeature([1], tf.int64),
        prediction=tf.io.FixedLenFeature([classes * classes], tf.int64),
    )


EVALUATION = LabelEvaluation(
    reader=_PixelReader,
    columns=_columns,
    sums=sums,
    constants=_constants,
    baseline_metrics=(("pixel_accuracy",),),
)
