"""What is kept of each record of the test split: the columns of predictions, and how they are read back."""

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
"""The column with the number of the record, counted over the files of the split from 0."""

LABEL = "hubline.label"
"""The column with what is true: the index of the class, with the four numbers of the box behind it where there is one;
of any number of classes a 1 for each and else a 0; of pixels how many there are; or a regression's number, as
`hubline.core.float64` writes it."""

CANDIDATE, SERVING = "hubline.candidate", "hubline.serving"
"""The names of the two models, and of the columns with what they predict: scores by class, of a class and a box with
the four numbers of the box behind them; of any number of classes the scores, and behind them a 1 for each class that
the model itself chooses and else a 0; of pixels the `confusion` matrix of the picture; or a regression's number, as it
stands in `LABEL`."""

OBJECTS = "hubline.objects"
"""Of a class and a box, the column with how many objects the label could be of."""

MASK = "hubline.mask"
"""Of pixels, what the candidate says of each, as a PNG: a column in a file of its own, which only samples are taken
from."""

Rows: TypeAlias = dict[str, np.ndarray]


def encoded(columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Columns as they are kept: tensors of shape [batch, n] as serialized tf.Examples, string of shape [batch].

    What is float64 has `PARTS` floats for each number.
    """
    return encode({name: _floats(values) if values.dtype == tf.float64 else values for name, values in columns.items()})


def _floats(values: tf.Tensor) -> tf.Tensor:
    return tf.constant(to_parts(values.numpy()).reshape(len(values), -1))


@dataclass(frozen=True)
class Predicted:
    """What predictions are of."""

    kind: str
    """The label's kind."""
    classes: Sequence[str] = ()
    """By index: those that the models know, and those that the records have; of a regression none."""
    centre: float = 0.0
    """Of a regression, a number amid those that are true, from which `r2` counts."""

    def spec(self, models: Sequence[str]) -> ParsingSpec:
        """How the columns of some models, and what is true, are parsed."""
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
        """Batches of what is kept in some files: by column [batch, n]; of a regression float64 [batch, 1]."""
        widest = max(len(self.classes) ** (2 if self.kind == "pixels" else 1), 1)
        for file in files:
            for _, examples in read_batches(file, max(1, min(4096, _NUMBERS_AT_ONCE // widest))):
                parsed = tf.io.parse_example(examples, self.spec(models))
                if self.kind == "regression":
                    parsed = {name: from_parts(column)[:, tf.newaxis] for name, column in parsed.items()}
                yield {name: column.numpy() for name, column in parsed.items()}


_NUMBERS_AT_ONCE = 1 << 20
