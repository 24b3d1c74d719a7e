"""L1 and L2 regularization."""

from collections.abc import Iterable

import tensorflow as tf


class Penalty:
    """The penalty of some variables, as that of `tf.keras.regularizers.L1L2`."""

    def __init__(self, l1: float | None, l2: float | None, variables: Iterable[tf.Variable]) -> None:
        """Args:
        l1: Factor of the sum of absolute values.
        l2: Factor of the sum of squares.
        variables: Only matrices and arrays of more dimensions count: kernels and embeddings, but neither biases nor
            the scales of normalization layers.
        """
        self._of_each = tf.keras.regularizers.L1L2(l1 or 0.0, l2 or 0.0)
        self._variables = [variable for variable in variables if variable.shape.rank > 1]

    def __call__(self) -> tf.Tensor:
        return tf.add_n([tf.zeros([]), *(tf.cast(self._of_each(one), tf.float32) for one in self._variables)])
