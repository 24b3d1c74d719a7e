"""Evaluation of label `regression`: numbers, float64 in the label's unit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import PredictionsMetadata
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit, truths
from hubline.components.evaluator.exported_model import ExportedModel, Scale
from hubline.components.evaluator.labels.label import KeptColumns, LabelEvaluation
from hubline.components.evaluator.labels.reader import ROWS_AT_ONCE, Facts, Reader
from hubline.components.evaluator.metric_sums import MetricFromSums, divide, mean
from hubline.components.evaluator.test_split import TestSplit
from hubline.core.float64 import PARTS
from hubline.core.number_format import shown
from hubline.core.shard_dataset import read_records
from hubline.preprocessing.columns import ParsingSpec, present
from hubline.preprocessing.labels.label import LabelKind
from hubline.preprocessing.labels.regression import RegressionLabel
from hubline.trainer.counts import complete
from hubline.trainer.inputs import Tensors
from hubline.trainer.metric_names import MetricName
from hubline.trainer.task import VALUE

_ROUNDING = 1e-13
"""Variance below this fraction of the sum of squares is rounding error."""

_LEAST_SPREAD = 0.01
"""In units of the normalized number. Float32 computations are precise to about 1e-6 of a unit."""


class _ValueReader(Reader):
    """Reads numbers, float64 in the label's unit."""

    answers = kept = (VALUE,)
    label: RegressionLabel

    @classmethod
    def survey(
        cls, label: LabelKind, spec: ParsingSpec, split: TestSplit, models: Mapping[str, ExportedModel]
    ) -> Facts:
        some = _values(label, spec, next(iter(read_records(split.rows, in_order=True).batch(ROWS_AT_ONCE))))
        return Facts(PredictionsMetadata(label.kind, centre=float(np.median(some))))

    def truth(self, records: tf.Tensor) -> tf.Tensor:
        return _values(self.label, self.spec, records)[:, tf.newaxis]

    def predictions(self, model: str, answer: Tensors) -> tf.Tensor:
        return tf.cast(answer[VALUE], tf.float64)[:, tf.newaxis]


def _values(label: Any, spec: ParsingSpec, records: tf.Tensor) -> tf.Tensor:
    """Labels of serialized records or rows, float64 [batch]."""
    parsed = tf.io.parse_example(records, spec)
    return tf.cast(label.values(lambda column: present(parsed[column])), tf.float64)


def sums(metric: MetricName, predicted: PredictionsMetadata) -> MetricFromSums:
    """A metric for regression as a function of sums."""

    def off(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return predictions[:, 0] - true[:, 0]

    def moments(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        values = true[:, 0] - predicted.centre
        return np.stack([np.ones_like(values), values, values**2, off(true, predictions) ** 2], axis=1)

    def explained(of_moments: np.ndarray) -> np.ndarray:
        count, total, squares, residual = np.moveaxis(of_moments, -1, 0)
        variance = squares - total**2 / count
        return 1 - divide(residual, np.where(variance > _ROUNDING * squares, variance, 0.0))

    match metric.family:
        case "mae":
            return mean(lambda true, predictions: np.abs(off(true, predictions)))
        case "r2":
            return MetricFromSums(moments, explained)
    squared = mean(lambda true, predictions: off(true, predictions) ** 2)
    return MetricFromSums(squared.of_each, lambda of_squares: np.sqrt(squared.value(of_squares)))


def constants_of(values: np.ndarray) -> ConstantPredictions:
    """The best constants for given labels, float64 [records]."""
    average, median = values.mean(), np.median(values)
    return ConstantPredictions(
        default=np.array([average]),
        default_description=f"the mean {shown(average)}",
        special=lambda metric: (np.array([median]), f"the median {shown(median)}") if metric.family == "mae" else None,
    )


def _constants(reader: Reader, split: TrainingSplit) -> ConstantPredictions:
    return constants_of(np.concatenate([batch[:, 0] for batch in truths(reader, split)]))


def scale_of(values: np.ndarray, normalize: str) -> Scale:
    """Centre and spread of given labels, float64 [records].

    The spread has a lower bound, because a model computes normalized numbers in float32. Their unit is the deviation,
    or 1 without normalization, or the number itself for logarithms.
    """
    centre, deviation = float(np.median(values)), float(np.std(values))
    unit = {"z_score": deviation or 1.0, "none": 1.0, "log": abs(centre)}[normalize]
    return Scale(centre, max(deviation, _LEAST_SPREAD * unit))


def _scale(label: RegressionLabel, spec: ParsingSpec, split: TrainingSplit) -> Scale:
    rows = complete(read_records(split.rows), split.count).batch(ROWS_AT_ONCE)
    values = rows.map(lambda batch: _values(label, spec, batch), num_parallel_calls=tf.data.AUTOTUNE)
    return scale_of(np.concatenate(list(values.as_numpy_iterator())), label.normalize)


def _columns(classes: int) -> KeptColumns:
    number = tf.io.FixedLenFeature([PARTS], tf.float32)
    return KeptColumns(truth=number, prediction=number, are_float64=True)


EVALUATION = LabelEvaluation(
    reader=_ValueReader,
    columns=_columns,
    sums=sums,
    constants=_constants,
    baseline_metrics=(("rmse", "mae"),),
    scale=_scale,
)
