"""Stored predictions for the test split: their columns, and how to read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from hubline.core.float64 import to_parts
from hubline.preprocessing.examples import encode

RECORD = "hubline.record"
"""Column with the index of the record, counted from 0 over the files of the split."""

LABEL = "hubline.label"
"""Column with the true label. The class index, followed by the four numbers of the box for `class_and_box`; a 0 or 1
per class for `multilabel`; the number of labelled pixels for `pixels`; the number for `regression`, encoded by
`hubline.core.float64`."""

CANDIDATE, SERVING = "hubline.candidate", "hubline.serving"
"""Names of the two models and of the columns with their predictions. The score of each class, followed by the four
numbers of the box for `class_and_box`; the score of each class followed by a 0 or 1 per class for whether the model
predicts it, for `multilabel` and `binary`; the `confusion` matrix of the image for `pixels`; the number for
`regression`, encoded as in `LABEL`."""

OBJECTS = "hubline.objects"
"""Column with the number of ground-truth objects in the image (`class_and_box` labels only)."""

MASK = "hubline.mask"
"""Column with the candidate's predicted mask as a PNG (`pixels` labels only). It has files of its own, which are read
for samples only."""

Rows: TypeAlias = dict[str, np.ndarray]


def encoded(columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Serializes columns, [batch, n], to tf.Examples, string of shape [batch].

    Each float64 becomes `PARTS` floats.
    """
    return encode({name: _floats(values) if values.dtype == tf.float64 else values for name, values in columns.items()})


def _floats(values: tf.Tensor) -> tf.Tensor:
    return tf.constant(to_parts(values.numpy()).reshape(len(values), -1))


@dataclass(frozen=True)
class PredictionsMetadata:
    """The label kind and classes of stored predictions."""

    kind: str
    """Kind of the label."""
    classes: Sequence[str] = ()
    """Class names by index: those that the models know, and those in the records. Empty for a regression."""
    centre: float = 0.0
    """For a regression: a number in the middle of the true ones, the origin for computing `r2`."""
