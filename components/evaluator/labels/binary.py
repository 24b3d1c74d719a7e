"""Evaluation of label `binary`: two classes, with precision, recall and F1 of the second."""

from dataclasses import replace

import numpy as np

from hubline.artifacts.predictions import Predicted
from hubline.components.evaluator import classification_metrics as hits
from hubline.components.evaluator.constants import Constants, TrainingSplit, truths
from hubline.components.evaluator.labels import classes as of_classes
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.metric_definition import Definition
from hubline.components.evaluator.metric_sums import Sums, counts_of, f1_of, precision_of, recall_of
from hubline.trainer.metric_names import Metric


def sums(predicted: Predicted) -> dict[Metric, Sums]:
    """Metrics for two classes as functions of sums; without `auc`."""

    def counts(true: np.ndarray, told: np.ndarray) -> np.ndarray:
        return counts_of(true[:, 0].astype(np.int64) == 1, told[:, : len(predicted.classes)].argmax(axis=1) == 1)

    of_second: dict[Metric, Sums] = {
        "precision": Sums(counts, precision_of),
        "recall": Sums(counts, recall_of),
        "f1": Sums(counts, f1_of),
    }
    return of_classes.sums(predicted) | of_second


def constants_of(shares: np.ndarray, predicted: Predicted) -> Constants:
    """The best constants for given class shares, [classes]."""
    # For precision, recall and F1 of the second class, predicting that class is optimal.
    second = np.array([0.0, 1.0]), f"always '{predicted.classes[1]}'"
    classes = of_classes.constants_of(shares, predicted)
    return replace(classes, special={"precision": second, "recall": second, "f1": second})


def _constants(reader: Reader, split: TrainingSplit) -> Constants:
    truth = np.concatenate(list(truths(reader, split)))
    return constants_of(of_classes.class_shares(truth, reader.predicted), reader.predicted)


EVALUATION = replace(
    of_classes.EVALUATION,
    metrics={
        **of_classes.EVALUATION.metrics,
        "precision": Definition.of(hits.MicroPrecision),
        "recall": Definition.of(hits.MicroRecall),
        "f1": Definition.of(hits.MicroF1),
    },
    sums=sums,
    constants=_constants,
)
