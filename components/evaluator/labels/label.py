"""What the Evaluator must know of a kind of label."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import Predicted
from hubline.components.evaluator.constants import Constants, TrainingSplit
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.metric_definition import Definition
from hubline.components.evaluator.metric_sums import Sums
from hubline.trainer.metric_names import Metric


@dataclass(frozen=True)
class KeptColumns:
    """How truth and predictions are kept in tf.Examples."""

    truth: tf.io.FixedLenFeature
    prediction: tf.io.FixedLenFeature
    are_float64: bool = False
    """Whether both hold float64 numbers as `hubline.core.float64` writes them."""


@dataclass(frozen=True)
class LabelEvaluation:
    """What the Evaluator knows of a kind of label."""

    reader: type[Reader]
    """Reads the truth of records, and what models predict."""
    columns: Callable[[int], KeptColumns]
    """How both are kept, by the number of classes."""
    metrics: Mapping[Metric, Definition]
    """How TFMA computes each metric of `LabelTraining.metrics`."""
    sums: Callable[[Predicted], Mapping[Metric, Sums]]
    """How the same metrics, but for `auc`, are computed from sums over examples, which the bootstrap resamples."""
    constants: Callable[[Reader, TrainingSplit], Constants]
    """Fits the best constant predictions on the training split."""
    baseline_metrics: tuple[tuple[Metric, ...], ...]
    """The parts of a prediction, each with the metrics of which one must be better than a constant's. For each metric
    here no prediction that ignores the record, random or not, is better than the best constant."""
    is_of_class: Callable[[np.ndarray, int], np.ndarray] | None = None
    """From kept truth, [batch, n], and the number of classes: which classes each record is of, bool [batch, classes].
    The AUC needs it."""
