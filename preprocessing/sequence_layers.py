"""Layers that take lists in their order, of any length: from sparse [batch, values] to float32 [batch, n].

Lists are padded at their ends, and masks say so: what a list gives does not depend on the lists around it. An empty
list gives zeros.
"""

from collections.abc import Sequence

import tensorflow as tf

from hubline.preprocessing.encoding_layers import initializer
from hubline.preprocessing.kinds.combiner import Attention, InOrder, Lstm
from hubline.preprocessing.kinds.embedding import Embedding


class EmbeddedInOrder(tf.keras.layers.Layer):
    """The embedding of categories, combined in their order; weights multiply it."""

    def __init__(self, size: int, config: Embedding, combiner: InOrder, name: str) -> None:
        """A table for categories from 0 to below `size`."""
        super().__init__(name=f"embedded_{name}")
        shape = [max(size, 1), config.embedding]  # an empty vocabulary has no categories at all
        self.table = self.add_weight("table", shape, initializer=initializer(config))
        self._most = combiner.max_length
        self._combine = combined(combiner)

    def call(self, inputs: Sequence[tf.SparseTensor]) -> tf.Tensor:
        """Looks up and combines."""
        ids, there = padded(inputs[0], 1, self._most)
        vectors = tf.gather(self.table, ids[:, :, 0])
        if len(inputs) > 1:
            vectors *= padded(inputs[1], 1, self._most)[0]
        return self._combine(vectors, mask=there)


class NumbersInOrder(tf.keras.layers.Layer):
    """Steps of some numbers each, one step after the other, combined in their order."""

    def __init__(self, width: int, combiner: InOrder, name: str) -> None:
        """A layer for steps of `width` numbers."""
        super().__init__(name=f"sequence_{name}")
        self._width = width
        self._most = combiner.max_length
        self._combine = combined(combiner)

    def call(self, inputs: tf.SparseTensor) -> tf.Tensor:
        """Combines."""
        steps, there = padded(inputs, self._width, self._most)
        return self._combine(steps, mask=there)


def padded(lists: tf.SparseTensor, width: int, most: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Lists as steps.

    Args:
        lists: The values of each, [batch, values], those that there are one after the other.
        width: How many make a step.
        most: Steps that are taken at most, from the first.

    Returns:
        Values by step, [batch, steps, width], where there are none zeros; and which steps there are, bool [batch,
        steps]. There is one step at least.
    """
    rows = tf.RaggedTensor.from_value_rowids(
        lists.values, lists.indices[:, 0], nrows=lists.dense_shape[0], validate=False
    )
    cut = rows[:, : most * width]
    dense = cut.to_tensor()
    if_none = width * tf.cast(tf.shape(dense)[1] == 0, tf.int32)
    dense = tf.pad(dense, [[0, 0], [0, if_none]])
    count = tf.shape(dense)[1] // width
    there = tf.sequence_mask(cut.row_lengths() // width, count)
    return tf.reshape(dense, [tf.shape(dense)[0], count, width]), there


def combined(config: InOrder) -> tf.keras.layers.Layer:
    """A layer that takes steps, float32 [batch, steps, n], and their mask, and gives float32 [batch, m]."""
    if isinstance(config, Attention):
        return SelfAttention(config)
    layer = tf.keras.layers.LSTM(config.lstm) if isinstance(config, Lstm) else tf.keras.layers.GRU(config.gru)
    return tf.keras.layers.Bidirectional(layer) if config.bidirectional else layer


class SelfAttention(tf.keras.layers.Layer):
    """Steps and their positions, each of which is added what it finds in all; the mean over the steps."""

    def __init__(self, config: Attention) -> None:
        """Takes how many heads, and sizes."""
        super().__init__()
        self.positions = self.add_weight("positions", [config.max_length, config.units], initializer="uniform")
        self._bring = tf.keras.layers.Dense(config.units)
        self._attend = tf.keras.layers.MultiHeadAttention(config.attention, -(-config.units // config.attention))

    def call(self, inputs: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Attends, and takes the mean of the steps that there are."""
        steps = self._bring(inputs) + self.positions[: tf.shape(inputs)[1]]
        steps += self._attend(steps, steps, attention_mask=mask[:, tf.newaxis])
        there = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
        return tf.reduce_sum(steps * there, axis=1) / tf.maximum(tf.reduce_sum(there, axis=1), 1.0)
