"""Layers over lists of any length, in order: from sparse [batch, values] to float32 [batch, n].

Lists are padded at the end and masked, so the output for a list doesn't depend on the other lists of the batch. An
empty list yields zeros.
"""

from collections.abc import Sequence

import tensorflow as tf

from hubline.preprocessing.encoding_layers import initializer
from hubline.preprocessing.kinds.combiner import Attention, InOrder, Lstm
from hubline.preprocessing.kinds.embedding import Embedding


class SequenceEmbedding(tf.keras.layers.Layer):
    """An embedding of categories, combined in order; weights multiply the vectors."""

    def __init__(self, size: int, config: Embedding, combiner: InOrder, name: str) -> None:
        """A table for categories from 0 to below `size`."""
        super().__init__(name=f"embedded_{name}")
        shape = [max(size, 1), config.embedding]  # for an empty vocabulary
        self.table = self.add_weight("table", shape, initializer=initializer(config))
        self._most = combiner.max_length
        self._combine = combined(combiner)

    def call(self, inputs: Sequence[tf.SparseTensor]) -> tf.Tensor:
        ids, there = padded(inputs[0], 1, self._most)
        vectors = tf.gather(self.table, ids[:, :, 0])
        if len(inputs) > 1:
            vectors *= padded(inputs[1], 1, self._most)[0]
        return self._combine(vectors, mask=there)


class NumberSequence(tf.keras.layers.Layer):
    """Steps of several numbers each, combined in order."""

    def __init__(self, width: int, combiner: InOrder, name: str) -> None:
        """A layer for steps of `width` numbers."""
        super().__init__(name=f"sequence_{name}")
        self._width = width
        self._most = combiner.max_length
        self._combine = combined(combiner)

    def call(self, inputs: tf.SparseTensor) -> tf.Tensor:
        steps, there = padded(inputs, self._width, self._most)
        return self._combine(steps, mask=there)


def padded(lists: tf.SparseTensor, width: int, most: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Splits lists into steps.

    Args:
        lists: Values of each list, [batch, values], packed to the left.
        width: Values per step.
        most: Maximum number of steps; later ones are cut off.

    Returns:
        Values by step, [batch, steps, width], padded with zeros; and a mask of the actual steps, bool [batch, steps].
        There is at least one step.
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
    """A layer from steps, float32 [batch, steps, n], and their mask to float32 [batch, m]."""
    if isinstance(config, Attention):
        return SelfAttention(config)
    layer = tf.keras.layers.LSTM(config.lstm) if isinstance(config, Lstm) else tf.keras.layers.GRU(config.gru)
    return tf.keras.layers.Bidirectional(layer) if config.bidirectional else layer


class SelfAttention(tf.keras.layers.Layer):
    """Multi-head self-attention with learned positions and a residual connection, averaged over the steps."""

    def __init__(self, config: Attention) -> None:
        super().__init__()
        self.positions = self.add_weight("positions", [config.max_length, config.units], initializer="uniform")
        self._bring = tf.keras.layers.Dense(config.units)
        self._attend = tf.keras.layers.MultiHeadAttention(config.attention, -(-config.units // config.attention))

    def call(self, inputs: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        steps = self._bring(inputs) + self.positions[: tf.shape(inputs)[1]]
        steps += self._attend(steps, steps, attention_mask=mask[:, tf.newaxis])
        there = tf.cast(mask, tf.float32)[:, :, tf.newaxis]
        return tf.reduce_sum(steps * there, axis=1) / tf.maximum(tf.reduce_sum(there, axis=1), 1.0)
