"""Layers over categories: from sparse int64 [batch, values], with or without weights, to float32 [batch, n]."""

from collections.abc import Sequence

import tensorflow as tf

from hubline.preprocessing.kinds.embedding import Embedding


class CategoryCounts(tf.keras.layers.Layer):
    """Counts, or sums of weights, of each category; [batch, size]."""

    def __init__(self, size: int, at_most_once: bool, name: str) -> None:
        """A layer for categories from 0 to below `size`. With `at_most_once`, a repeated category counts once."""
        super().__init__(name=f"counted_{name}")
        self._size = size
        self._at_most_once = at_most_once

    def call(self, inputs: Sequence[tf.SparseTensor]) -> tf.Tensor:
        ids, weights = inputs[0], inputs[1].values if len(inputs) > 1 else tf.ones_like(inputs[0].values, tf.float32)
        cells = tf.stack([ids.indices[:, 0], ids.values], axis=1)
        counts = tf.scatter_nd(cells, weights, tf.stack([ids.dense_shape[0], tf.cast(self._size, tf.int64)]))
        counts = tf.ensure_shape(counts, [None, self._size])
        return tf.minimum(counts, 1.0) if self._at_most_once else counts


class _Table(tf.keras.layers.Layer):
    """A trained vector per category, combined over the values of a record."""

    def __init__(self, size: int, units: int, initializer: str | tf.keras.initializers.Initializer, name: str) -> None:
        super().__init__(name=name)
        # At least one row, for an empty vocabulary. A record without values gets zeros.
        self._shape = [max(size, 1), units]
        self._initializer = initializer
        self._combiner = "sum"

    def build(self, input_shape: object) -> None:
        self.table = self.add_weight("table", self._shape, initializer=self._initializer)

    def call(self, inputs: Sequence[tf.SparseTensor]) -> tf.Tensor:
        ids, weights = inputs[0], inputs[1] if len(inputs) > 1 else None
        combined = tf.nn.safe_embedding_lookup_sparse(self.table, ids, weights, combiner=self._combiner)
        return tf.ensure_shape(combined, [None, self._shape[1]])


class CategoryEmbedding(_Table):
    """An embedding of categories, [batch, embedding]; zeros for a record without categories.

    Equivalent to `tf.feature_column.embedding_column`, with the same combiners and initializer.
    """

    def __init__(self, size: int, config: Embedding, combiner: str, name: str) -> None:
        """A table for categories from 0 to below `size`."""
        super().__init__(size, config.embedding, initializer(config), f"embedded_{name}")
        self._combiner = combiner


def initializer(config: Embedding) -> tf.keras.initializers.Initializer:
    """Initializer of the vectors."""
    if config.initializer == "truncated_normal":
        return tf.keras.initializers.TruncatedNormal(stddev=config.embedding**-0.5)
    return tf.keras.initializers.get(config.initializer)


class Linear(_Table):
    """Sum of one weight per category and output, [batch, outputs]; initially 0, as in a linear model."""

    def __init__(self, size: int, outputs: int, name: str) -> None:
        """A table for categories from 0 to below `size`."""
        super().__init__(size, outputs, "zeros", f"linear_{name}")


class PretrainedVectors(tf.keras.layers.Layer):
    """Sum of given vectors, one per category, over the values of a record; [batch, n]."""

    def __init__(self, table: Sequence[Sequence[float]], name: str) -> None:
        """Takes the vectors by category."""
        super().__init__(name=f"fixed_{name}")
        self._table = table

    def call(self, inputs: Sequence[tf.SparseTensor]) -> tf.Tensor:
        vectors = tf.gather(tf.constant(self._table, tf.float32), inputs[0].values)
        count = tf.cast(inputs[0].dense_shape[0], tf.int64)
        return tf.math.unsorted_segment_sum(vectors, inputs[0].indices[:, 0], count)
