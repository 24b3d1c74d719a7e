"""Kind `sequence`: numbers in the order of time, as many as there are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.combiner import InOrder
from hubline.preprocessing.kinds.kind import Layer, Read, Values
from hubline.preprocessing.kinds.numeric import Numbers


class SequenceFeature(Numbers):
    """Numbers in the order of time, whole or not: a list of any length, which a recurrent or attention layer reads."""

    kind: Literal["sequence"]
    width: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How many numbers of the list, one after the other, make a step; each position in a step is normalised by itself.
    A list ends with its last step of which a number is there; what is missing before and in it is filled in."""
    combiner: InOrder = Field(examples=[{"gru": 32, "max_length": 500}])
    """What reads the steps in their order."""

    def transform(self, name: str, read: Read) -> dict[str, Values]:
        """Filled and normalised, step after step, float32 [batch, steps * width]."""
        (column,) = self.reads(name)
        values = read(column)
        rows, cells = values.indices[:, 0], values.indices[:, 1]
        # Of a record without any number the greatest is the least integer.
        counts = tf.maximum(tf.math.unsorted_segment_max(cells // self.width + 1, rows, values.dense_shape[0]), 0)
        before = tf.gather(tf.cumsum(counts, exclusive=True), rows)
        places = tf.stack([before + cells // self.width, cells % self.width], axis=1)
        steps = tf.SparseTensor(places, values.values, tf.stack([tf.reduce_sum(counts), self.width]))
        numbers = tf.reshape(self.normalized(name, steps, self.width, read.analysis), [-1])
        return {name: tf.RaggedTensor.from_row_lengths(numbers, counts * self.width, validate=False).to_sparse()}

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        """The same."""
        return {name: tf.SparseTensorSpec([None, None], tf.float32)}

    @property
    def takes_lists(self) -> bool:
        """All of it."""
        return True

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        """As `combiner` says."""
        from hubline.preprocessing import sequence_layers as in_order

        layer = in_order.NumbersInOrder(self.width, self.combiner, name)
        return lambda inputs: layer(inputs[name])
