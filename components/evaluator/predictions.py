"""Predictions of the candidate and the serving model for every test example, stored as tf.Examples."""

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from functools import cache

import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, MASK, RECORD, encoded
from hubline.components.evaluator.constants import TrainingSplit
from hubline.components.evaluator.exported_model import ExportedModel, Scale, faults_of_serving
from hubline.components.evaluator.labels.parts import EVALUATION
from hubline.components.evaluator.labels.reader import Reader
from hubline.components.evaluator.test_split import TestSplit
from hubline.core.errors import RunError, UserError
from hubline.core.float64 import GREATEST
from hubline.core.progress import report
from hubline.preprocessing.columns import ParsingSpec
from hubline.preprocessing.config import Label
from hubline.preprocessing.examples import encode, keep
from hubline.trainer.metric_names import Metric, class_faults
from hubline.trainer.tfrecord_writer import writing


def write_predictions(
    split: TestSplit,
    training: TrainingSplit,
    paths: Mapping[str, str],
    label: Label,
    label_spec: ParsingSpec,
    columns: Iterable[str],
    metrics: Iterable[Metric],
    output: str,
    samples: str | None = None,
) -> Reader:
    """Predicts on a split, and writes predictions next to labels as tf.Examples to a TFRecord file.

    A model predicts on rows if its head can use their cached vectors, otherwise on records.

    Args:
        split: The records.
        training: The training split, for the scale of the label.
        paths: The exported models by the column for their predictions.
        label: The label.
        label_spec: Parsing spec of the label's columns.
        columns: Columns to copy from the records, for slicing.
        metrics: The metrics to compute from the predictions.
        output: The file to write.
        samples: For segmentation, the file for the candidate's masks, in the order of the predictions.

    Returns:
        The reader of the records, which knows the kind of label and the classes.

    Raises:
        RunError: if the candidate's predictions on rows and on records differ, or are not finite.
        UserError: if the candidate lacks an output that the label requires, or a metric does not exist for its classes.
        ServingFault: if the serving version cannot be compared with.
    """
    evaluation = EVALUATION.of(label.kind)
    reader_type = evaluation.reader

    @cache
    def scale() -> Scale:
        return evaluation.scale(label, label_spec, training)

    models = {}
    for name, path in paths.items():
        with faults_of_serving(name):
            models[name] = ExportedModel(path, split, reader_type.answers, reader_type.kept, scale, name == CANDIDATE)
    reader = reader_type(label, label_spec, split, models)
    if faults := class_faults(metrics, reader.predicted.classes):
        raise UserError("\n".join(f"evaluation: {fault}" for fault in faults))
    columns, done = list(columns), 0
    rows_only = all(model.answers_rows for model in models.values())
    # Masks are written without a queue: with two TensorFlow threads, two queued writers would deadlock.
    with writing(output) as write, tf.io.TFRecordWriter(samples) if samples else nullcontext() as masks_file:
        for (numbers, rows), records in split.batches(rows_only):
            outputs = {}
            for name, model in models.items():
                with faults_of_serving(name):
                    outputs[name] = model.answer(rows if model.answers_rows else records)
            known = {RECORD: numbers[:, tf.newaxis]} | reader.compared(records, rows, outputs)
            for name, model in models.items():
                with faults_of_serving(name):
                    _check_finite(model, known[name], numbers)
            write(tf.strings.join([keep(rows, columns), encoded(known)]))
            pngs = reader.masks(outputs)
            if masks_file and pngs is not None:
                for png in encode({MASK: pngs[:, tf.newaxis]}).numpy():
                    masks_file.write(png)
            done += len(numbers)
            report(done, split.count, "records")
    return reader


def _check_finite(model: ExportedModel, predictions: tf.Tensor, numbers: tf.Tensor) -> None:
    if not predictions.dtype.is_floating:
        return
    wrong = ~tf.reduce_all(tf.abs(predictions) <= GREATEST, axis=1)
    if tf.reduce_any(wrong):
        raise RunError(
            f"{model.path}: the prediction for record {int(numbers[wrong][0])} of the test split (starting at 0) "
            f"is not finite, or exceeds {GREATEST:.2g}; normalize features with very large values"
        )
