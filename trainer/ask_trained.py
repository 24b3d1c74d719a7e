"""Asks the trained model before its export."""

from collections.abc import Mapping
from functools import partial
from typing import cast

import numpy as np
import tensorflow as tf

from hubline.preprocessing.columns import ParsingSpec
from hubline.preprocessing.config import Features
from hubline.preprocessing.feature_columns import images
from hubline.preprocessing.kinds.image import ImageFeature
from hubline.trainer.inputs import encoded_images, rows_of
from hubline.trainer.reference import Reference
from hubline.trainer.serving_guide.columns import only
from hubline.trainer.task import Task

RECORDS = 32
"""Most records that are asked about."""
_MOST_BYTES = 16 << 20
"""Size of the records together, unless the first one alone is larger."""
_INT64 = partial(tf.constant, dtype=tf.int64)


def reference_of(
    model: tf.keras.Model,
    task: Task,
    features: Features,
    spec: ParsingSpec,
    batches: tf.data.Dataset,
    records: tf.data.Dataset,
) -> Reference:
    """Asks the trained model about the first records of a split, through the input pipeline of the training.

    Nothing here goes through the exported SavedModel: neither its parsing of records, nor its traced functions, nor its
    saved variables.

    Args:
        model: The trained model, from inputs to raw outputs.
        task: Names the outputs.
        features: The features that the model or a hub module takes.
        spec: Parsing spec of the raw columns that the features read.
        batches: The model's inputs and the targets, in the order of the records.
        records: The tf.Examples.
    """
    taken = _bounded([only(each, spec).SerializeToString(deterministic=True) for each in _first(records)])
    answers: list[dict[str, np.ndarray]] = []
    left = len(taken)
    for inputs, _ in batches:
        rows = {name: rows_of(values, _INT64(0), _INT64(left)) for name, values in inputs.items()}
        answer = task.answer(model(rows, training=False))
        answers.append({name: values.numpy() for name, values in answer.items()})
        left -= len(next(iter(answers[-1].values())))
        if not left:
            break
    together = {name: tf.constant(np.concatenate([each[name] for each in answers])) for name in answers[0]}
    encoded = encoded_images(features, tf.io.parse_example(tf.constant(taken), spec))
    pictures = cast("Mapping[str, ImageFeature]", images(features))  # a task with coordinates has no clips
    placed = task.placed(together, pictures, encoded)
    return Reference(taken, {name: values.numpy() for name, values in placed.items()})


def _first(records: tf.data.Dataset) -> list[bytes]:
    return list(records.take(RECORDS).as_numpy_iterator())


def _bounded(records: list[bytes]) -> list[bytes]:
    """The first records, as many as `_MOST_BYTES` hold, at least one."""
    sizes = np.cumsum([len(each) for each in records])
    return records[: max(1, int(np.sum(sizes <= _MOST_BYTES)))]
