"""Interface between the Evaluator and a kind of label."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import PredictionsMetadata
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit
from hubline.components.evaluator.exported_model import Scale
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.metric_sums import MetricFromSums
from hubline.preprocessing.columns import ParsingSpec
from hubline.trainer.metric_names import Metric, MetricName


@dataclass(frozen=True)
class KeptColumns:
    """Storage format of labels and predictions in tf.Examples."""

    truth: tf.io.FixedLenFeature
    prediction: tf.io.FixedLenFeature
    are_float64: bool = False
    """Whether both hold float64 numbers in the format of `hubline.core.float64`."""


def _default_scale(label: Any, spec: ParsingSpec, split: TrainingSplit) -> Scale:
    return Scale()


@dataclass(frozen=True)
class LabelEvaluation:
    """The evaluation of a kind of label."""

    reader: type[Reader]
    """Reads labels and predictions."""
    columns: Callable[[int], KeptColumns]
    """Storage format of both, by number of classes."""
    sums: Callable[[MetricName, PredictionsMetadata], MetricFromSums | None]
    """A metric of `LabelTraining.metrics` as a function of sums over examples, which the bootstrap resamples. None for
    areas under curves."""
    constants: Callable[[Reader, TrainingSplit], ConstantPredictions]
    """Fits the best constant predictions on the training split."""
    baseline_metrics: tuple[tuple[Metric, ...], ...]
    """The parts of a prediction, each with the metrics of which one must beat the baseline. For these metrics, no
    prediction that ignores the record, random or not, beats the best constant."""
    is_of_class: Callable[[np.ndarray, int], np.ndarray] | None = None
    """Maps stored labels, [batch, n], and the number of classes to class membership, bool [batch, classes]. Required
    for the AUC."""
    scale: Callable[[Any, ParsingSpec, TrainingSplit], Scale] = _default_scale
    """Scale of the model's float outputs, from the label, the parsing spec of its columns, and the training split."""
