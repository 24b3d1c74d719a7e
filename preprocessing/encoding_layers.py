"""Layers that take categories: from int64 [batch, values], sparse, with or without weights, to float32 [batch, n]."""

from collections.abc import Sequence

import tensorflow as tf

from hubline.preprocessing.kinds.embedding import Embedding


class Counted(tf.keras.layers.Layer):
    """How often each category is there, or how much it weighs; [batch, size]."""

    def __init__(self, size: int, at_most_once: bool, name: str) -> None:
        """A layer for categories from 0 to below `size`; `at_most_once` counts a repeated one once."""
        super().__init__(name=f"counted_{name}")
        self._size = size
        self._at_most_once = at_most_once

    def call(self, inputs: Sequence[tf.SparseTensor]) -> tf.Tensor:
        """Counts."""
        ids, weights = inputs[0], inputs[1].values if len(inputs) > 1 else tf.ones_like(inputs[0].values, tf.float32)
        cells = tf.stack([ids.indices[:, 0], ids.values], axis=1)
        counts = tf.scatter_nd(cells, weights, tf.stack([ids.dense_shape[0], tf.cast(self._size, tf.int64)]))
        counts = tf.ensure_shape(counts, [None, self._size])
        return tf.minimum(counts, 1.0) if self._at_most_once else counts


class _Table(tf.keras.layers.Layer):
    """A vector of trained numbers for each category, combined over the values of a record."""

    def __init__(self, size: int, units: int, initializer: str | tf.keras.initializers.Initializer, name: str) -> None:
        super().__init__(name=name)
        # A record without any value gets zeros; so would one of no categories at all, such as an empty vocabulary.
        self._shape = [max(size, 1), units]
        self._initializer = initializer
        self._combiner = "sum"

    def build(self, input_shape: object) -> None:
        self.table = self.add_weight("table", self._shape, initializer=self._initializer)

    def call(self, inputs: Sequence[tf.SparseTensor]) -> tf.Tensor:
        """Looks up and combines."""
        ids, weights = inputs[0], inputs[1] if len(inputs) > 1 else None
        combined = tf.nn.safe_embedding_lookup_sparse(self.table, ids, weights, combiner=self._combiner)
        return tf.ensure_shape(combined, [None, self._shape[1]])


class Embedded(_Table):
    """The embedding of the categories, [batch, embedding]; zeros where a record has none.

    It is `tf.feature_column.embedding_column`: the same combiners, and the same first values.
    """

    def __init__(self, size: int, config: Embedding, combiner: str, name: str) -> None:
        """A table for categories from 0 to below `size`."""
        super().__init__(size, config.embedding, initializer(config), f"embedded_{name}")
        self._combiner = combiner


def initializer(config: Embedding) -> tf.keras.initializers.Initializer:
    """How the vectors of a table begin."""
    if config.initializer == "truncated_normal":
        return tf.keras.initializers.TruncatedNormal(stddev=config.embedding**-0.5)
    return tf.keras.initializers.get(config.initializer)


class Linear(_Table):
    """A weight for each category and output, summed, [batch, outputs]; they begin at 0, as in a linear model."""

    def __init__(self, size: int, outputs: int, name: str) -> None:
        """A table for categories from 0 to below `size`."""
        super().__init__(size, outputs, "zeros", f"linear_{name}")


class Fixed(tf.keras.layers.Layer):
    """A given vector for each category, summed over the values of a record, [batch, n]."""

    def __init__(self, table: Sequence[Sequence[float]], name: str) -> None:
        """Takes the vectors by category."""
        super().__init__(name=f"fixed_{name}")
        self._table = table

    def call(self, inputs: Sequence[tf.SparseTensor]) -> tf.Tensor:
        """Looks up and sums."""
        vectors = tf.gather(tf.constant(self._table, tf.float32), inputs[0].values)
        count = tf.cast(inputs[0].dense_shape[0], tf.int64)
        return tf.math.unsorted_segment_sum(vectors, inputs[0].indices[:, 0], count)
