"""Feature kind `sequence`: time series of varying length."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.combiner import InOrder
from hubline.preprocessing.kinds.kind import Layer, TransformContext, Values
from hubline.preprocessing.kinds.numeric import NumberKind


class SequenceFeature(NumberKind):
    """Numbers in order of time, integer or float: a list of any length, read by a recurrent or attention layer."""

    kind: Literal["sequence"]
    width: Annotated[int, Field(ge=1, le=100_000)] = 1
    """Numbers per step, consecutive in the list. Each position within a step is normalized separately. A list ends with
    the last step that has any number; missing numbers up to there are filled in."""
    combiner: InOrder = Field(examples=[{"gru": 32, "max_length": 500}])
    """The layer that reads the steps in order."""

    def transform(self, name: str, read: TransformContext) -> dict[str, Values]:
        """Normalized numbers, step after step, float32 [batch, steps * width]."""
        (column,) = self.reads(name)
        values = read(column)
        rows, cells = values.indices[:, 0], values.indices[:, 1]
        # For a record without numbers, the maximum over nothing is the smallest integer.
        counts = tf.maximum(tf.math.unsorted_segment_max(cells // self.width + 1, rows, values.dense_shape[0]), 0)
        before = tf.gather(tf.cumsum(counts, exclusive=True), rows)
        places = tf.stack([before + cells // self.width, cells % self.width], axis=1)
        steps = tf.SparseTensor(places, values.values, tf.stack([tf.reduce_sum(counts), self.width]))
        numbers = tf.reshape(self.normalized(name, steps, self.width, read.analysis), [-1])
        return {name: tf.RaggedTensor.from_row_lengths(numbers, counts * self.width, validate=False).to_sparse()}

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        return {name: tf.SparseTensorSpec([None, None], tf.float32)}

    @property
    def takes_lists(self) -> bool:
        return True

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        from hubline.preprocessing import sequence_layers

        layer = sequence_layers.NumberSequence(self.width, self.combiner, name)
        return lambda inputs: layer(inputs[name])
