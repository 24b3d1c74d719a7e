"""Evaluation of label `binary`: two classes, with precision, recall and F1 of the second."""

from dataclasses import replace

import numpy as np

from hubline.artifacts.predictions import PredictionsMetadata
from hubline.components.evaluator import classification_metrics
from hubline.components.evaluator.constants import ConstantPredictions, TrainingSplit, truths
from hubline.components.evaluator.labels import classes as of_classes
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.metric_definition import MetricDefinition
from hubline.components.evaluator.metric_sums import MetricFromSums, counts_of, f1_of, precision_of, recall_of
from hubline.trainer.metric_names import Metric


def sums(predicted: PredictionsMetadata) -> dict[Metric, MetricFromSums]:
    """Metrics for two classes as functions of sums; without `auc`."""

    def counts(true: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        return counts_of(true[:, 0].astype(np.int64) == 1, predictions[:, : len(predicted.classes)].argmax(axis=1) == 1)

    of_second: dict[Metric, MetricFromSums] = {
        "precision": MetricFromSums(counts, precision_of),
        "recall": MetricFromSums(counts, recall_of),
        "f1": MetricFromSums(counts, f1_of),
    }
    return of_classes.sums(predicted) | of_second


def constants_of(shares: np.ndarray, predicted: PredictionsMetadata) -> ConstantPredictions:
    """The best constants for given class shares, [classes]."""
    # For precision, recall and F1 of the second class, predicting that class is optimal.
    second = np.array([0.0, 1.0]), f"always '{predicted.classes[1]}'"
    classes = of_classes.constants_of(shares, predicted)
    return replace(classes, special={"precision": second, "recall": second, "f1": second})


def _constants(reader: Reader, split: TrainingSplit) -> ConstantPredictions:
    truth = np.concatenate(list(truths(reader, split)))
    return constants_of(of_classes.class_shares(truth, reader.predicted), reader.predicted)


EVALUATION = replace(
    of_classes.EVALUATION,
    metrics={
        **of_classes.EVALUATION.metrics,
        "precision": MetricDefinition.of(classification_metrics.MicroPrecision),
        "recall": MetricDefinition.of(classification_metrics.MicroRecall),
        "f1": MetricDefinition.of(classification_metrics.MicroF1),
    },
    sums=sums,
    constants=_constants,
)
