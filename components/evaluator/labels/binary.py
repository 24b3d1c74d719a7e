"""Evaluation of label `binary`: two classes, with precision, recall and F1 of the second."""

from dataclasses import replace

import numpy as np

from hubline.artifacts.predictions import PredictionsMetadata
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit, truths
from hubline.components.evaluator.labels import classes as of_classes
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.metric_sums import MetricFromSums
from hubline.trainer.metric_names import MetricName


def sums(metric: MetricName, predicted: PredictionsMetadata) -> MetricFromSums | None:
    """A metric for two classes as a function of sums; None for areas under curves."""
    return of_classes.sums(metric, predicted, positive=1)


def constants_of(shares: np.ndarray, predicted: PredictionsMetadata) -> ConstantPredictions:
    """The best constants for given class shares, [classes]."""
    # For precision, recall and F1 of the second class, predicting that class is optimal.
    return of_classes.constants_of(shares, predicted, positive=1)


def _constants(reader: Reader, split: TrainingSplit) -> ConstantPredictions:
    truth = np.concatenate(list(truths(reader, split)))
    return constants_of(of_classes.class_shares(truth, reader.predicted), reader.predicted)


EVALUATION = replace(of_classes.EVALUATION, sums=sums, constants=_constants)
