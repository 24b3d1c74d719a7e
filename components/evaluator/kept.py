"""What is kept of each record of the test split: the columns of predictions, and how they are read back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from components.records import read_batches
from preprocessing.columns import ParsingSpec

RECORD = "hubline.record"
"""The column with the number of the record, counted over the files of the split from 0."""

LABEL = "hubline.label"
"""The column with what is true: the index of the class, with the four numbers of the box behind it where there is one;
of any number of classes a 1 for each and else a 0; of pixels how many there are; or a regression's number."""

CANDIDATE, SERVING = "hubline.candidate", "hubline.serving"
"""The names of the two models, and of the columns with what they predict: scores by class, of a class and a box with
the four numbers of the box behind them; of any number of classes the scores, and behind them a 1 for each class that
the model itself chooses and else a 0; of pixels the `confusion` matrix of the picture; or a regression's number."""

OBJECTS = "hubline.objects"
"""Of a class and a box, the column with how many objects the label could be of."""

MASK = "hubline.mask"
"""Of pixels, what the candidate says of each, as a PNG: a column in a file of its own, which only samples are taken
from."""

Rows: TypeAlias = dict[str, np.ndarray]


@dataclass(frozen=True)
class Predicted:
    """What predictions are of."""

    kind: str
    """The label's kind."""
    classes: Sequence[str] = ()
    """By index: those that the models know, and those that the records have; of a regression none."""

    def spec(self, models: Sequence[str]) -> ParsingSpec:
        """How the columns of some models, and what is true, are parsed."""
        count = len(self.classes)
        label, dtype, width, told = {
            "multilabel": (count, tf.int64, 2 * count, tf.float32),
            "regression": (1, tf.float32, 1, tf.float32),
            "class_and_box": (5, tf.float32, count + 4, tf.float32),
            "pixels": (1, tf.int64, count * count, tf.int64),
        }.get(self.kind, (1, tf.int64, count, tf.float32))
        return {LABEL: tf.io.FixedLenFeature([label], dtype)} | {
            model: tf.io.FixedLenFeature([width], told) for model in models
        }

    def read(self, files: Sequence[str], models: Sequence[str]) -> Iterator[Rows]:
        """Batches of what is kept in some files: by column [batch, n]."""
        widest = max(len(self.classes) ** (2 if self.kind == "pixels" else 1), 1)
        for file in files:
            for _, examples in read_batches(file, max(1, min(4096, _NUMBERS_AT_ONCE // widest))):
                parsed = tf.io.parse_example(examples, self.spec(models))
                yield {name: column.numpy() for name, column in parsed.items()}


_NUMBERS_AT_ONCE = 1 << 20
