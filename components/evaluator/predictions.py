"""What the models say of each record of the test split, kept as Examples."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from preprocessing.columns import ParsingSpec
from preprocessing.config import Label
from preprocessing.errors import UserError
from preprocessing.progress import report
from trainer import export
from trainer.inputs import read_records

LABEL = "label"
"""The column of a prediction that holds the index of the true class; beside it a column of scores for each model."""


_START_AFRESH = "Take the version away, or give the pipeline another serving folder, to start afresh"


class ServedModel:
    """An exported model, answering serialized tf.Examples."""

    def __init__(self, path: str) -> None:
        """Loads a SavedModel.

        Raises:
            UserError: where it does not answer as a model of ours.
        """
        try:
            self._loaded = tf.saved_model.load(path)
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise UserError(f"{path}: TensorFlow cannot load this version: {error}. {_START_AFRESH}") from error
        self._answer = self._loaded.signatures.get(export.SERVING)
        answers = self._answer.structured_outputs if self._answer else {}
        if not {export.CLASSES, export.SCORES} <= answers.keys():
            raise UserError(
                f"{path}: this model does not answer '{export.CLASSES}' and '{export.SCORES}' in its signature "
                f"'{export.SERVING}', so nothing can be compared with it. {_START_AFRESH}"
            )

    def scores(self, records: tf.Tensor) -> tuple[list[str], np.ndarray]:
        """The class names, and for serialized records, string of shape [batch], scores float32 of [batch, classes]."""
        answer = self._answer(examples=records)
        return [name.decode() for name in answer[export.CLASSES][0].numpy()], answer[export.SCORES].numpy()


def write_predictions(
    files: Sequence[str],
    models: Mapping[str, ServedModel],
    label: Label,
    spec: ParsingSpec,
    batch_size: int,
    output: str,
) -> list[int]:
    """Runs models over records and writes what they say beside what is true, a GZIP TFRecord file of Examples.

    Args:
        files: The records.
        models: By the name of the column that is to hold a model's scores.
        label: The true class.
        spec: How the label's column is parsed.
        batch_size: Records to a call.
        output: The file to write.

    Returns:
        The indices of the classes that the records have, ascending. A class that no model knows scores 0.
    """
    labels = [name for batch in _batches(files, batch_size) for name in label_names(label, spec, batch)]
    classes: dict[str, int] = {}
    first = next(iter(_batches(files, 1)))
    for model in models.values():
        _extend(classes, model.scores(first)[0])
    _extend(classes, sorted(set(labels)))

    done = 0
    with tf.io.TFRecordWriter(output, "GZIP") as writer:
        for batch in _batches(files, batch_size):
            columns = {name: _arrange(*model.scores(batch), classes) for name, model in models.items()}
            truth = [classes[name] for name in labels[done : done + len(batch)]]
            for row, true in enumerate(truth):
                writer.write(_example(true, {name: scores[row] for name, scores in columns.items()}))
            done += len(batch)
            report(done, len(labels), "records")
    return sorted({classes[name] for name in labels})


def label_names(label: Label, spec: ParsingSpec, records: tf.Tensor) -> list[str]:
    """The class name of each serialized record."""
    parsed = tf.io.parse_example(records, spec)[label.column]
    values = (parsed.values if isinstance(parsed, tf.SparseTensor) else tf.reshape(parsed, [-1])).numpy()
    if values.dtype == object:
        return [value.decode() for value in values]
    return [label.classes[value] if label.classes else str(value) for value in values]


def _batches(files: Sequence[str], batch_size: int) -> Iterator[tf.Tensor]:
    return iter(read_records(files).batch(batch_size).prefetch(tf.data.AUTOTUNE))


def _extend(classes: dict[str, int], names: Iterable[str]) -> None:
    for name in names:
        classes.setdefault(name, len(classes))


def _arrange(names: Sequence[str], scores: np.ndarray, classes: Mapping[str, int]) -> np.ndarray:
    """Scores in the order of `classes`; 0 for a class that the model does not know."""
    arranged = np.zeros([len(scores), len(classes)], np.float32)
    arranged[:, [classes[name] for name in names]] = scores
    return arranged


def _example(label: int, scores: Mapping[str, np.ndarray]) -> bytes:
    features = {name: tf.train.Feature(float_list=tf.train.FloatList(value=row)) for name, row in scores.items()}
    features[LABEL] = tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
