"""Reads stored predictions."""

from collections.abc import Iterator, Sequence
from math import prod

import tensorflow as tf

from hubline.artifacts.predictions import LABEL, PredictionsMetadata, Rows
from hubline.components.evaluator.labels.parts import EVALUATION
from hubline.core.float64 import from_parts
from hubline.core.tfrecords import read_batches

_NUMBERS_AT_ONCE = 1 << 20
_MOST_AT_ONCE = 4096


def read_predictions(files: Sequence[str], predicted: PredictionsMetadata, models: Sequence[str]) -> Iterator[Rows]:
    """Batches of labels and predictions.

    Args:
        files: TFRecord files of predictions.
        predicted: Kind of label and classes.
        models: Prediction columns to read.

    Yields:
        By column, numbers of shape [batch, n]; float64 [batch, 1] for regression.
    """
    columns = EVALUATION.of(predicted.kind).columns(len(predicted.classes))
    spec = {LABEL: columns.truth} | dict.fromkeys(models, columns.prediction)
    at_once = max(1, min(_MOST_AT_ONCE, _NUMBERS_AT_ONCE // max(1, prod(columns.prediction.shape))))
    for file in files:
        for _, examples in read_batches(file, at_once):
            parsed = tf.io.parse_example(examples, spec)
            if columns.are_float64:
                parsed = {name: from_parts(column)[:, tf.newaxis] for name, column in parsed.items()}
            yield {name: column.numpy() for name, column in parsed.items()}
