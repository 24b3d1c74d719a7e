"""Stored predictions for the test split: their columns, and how to read them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from hubline.core.float64 import PARTS, from_parts, to_parts
from hubline.core.tfrecords import read_batches
from hubline.preprocessing.columns import ParsingSpec
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
predicts it, for `multilabel`; the `confusion` matrix of the image for `pixels`; the number for `regression`, encoded as
in `LABEL`."""

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
class Predicted:
    """The label kind and classes of stored predictions."""

    kind: str
    """Kind of the label."""
    classes: Sequence[str] = ()
    """Class names by index: those that the models know, and those in the records. Empty for a regression."""
    centre: float = 0.0
    """For a regression: a number in the middle of the true ones, the origin for computing `r2`."""

    def spec(self, models: Sequence[str]) -> ParsingSpec:
        """Parsing spec of the models' columns and the true label."""
        count = len(self.classes)
        label, dtype, width, told = {
            "multilabel": (count, tf.int64, 2 * count, tf.float32),
            "regression": (PARTS, tf.float32, PARTS, tf.float32),
            "class_and_box": (5, tf.float32, count + 4, tf.float32),
            "pixels": (1, tf.int64, count * count, tf.int64),
        }.get(self.kind, (1, tf.int64, count, tf.float32))
        return {LABEL: tf.io.FixedLenFeature([label], dtype)} | {
            model: tf.io.FixedLenFeature([width], told) for model in models
        }

    def read(self, files: Sequence[str], models: Sequence[str]) -> Iterator[Rows]:
        """Reads files in batches: by column [batch, n]; for a regression float64 [batch, 1]."""
        widest = max(len(self.classes) ** (2 if self.kind == "pixels" else 1), 1)
        for file in files:
            for _, examples in read_batches(file, max(1, min(4096, _NUMBERS_AT_ONCE // widest))):
                parsed = tf.io.parse_example(examples, self.spec(models))
                if self.kind == "regression":
                    parsed = {name: from_parts(column)[:, tf.newaxis] for name, column in parsed.items()}
                yield {name: column.numpy() for name, column in parsed.items()}


_NUMBERS_AT_ONCE = 1 << 20
