"""Metrics of pixels, from the confusion matrix of each picture.

What is predicted of a picture is kept as that matrix in a row, [classes x classes]: how many pixels of each class, by
rows, are told to be of which, by columns. So much is kept of a picture however large it is, and what is left out of the
mask is nowhere in it.
"""

from typing import Any

import tensorflow as tf


def confusion(true: tf.Tensor, told: tf.Tensor, classes: int) -> tf.Tensor:
    """The confusion matrix of each picture.

    Args:
        true: The numbers of classes, int32 [batch, height, width]; what is none of them, such as `LEFT_OUT`, is left
            out.
        told: Likewise; what is no class where the truth is one must not be.
        classes: How many there are.

    Returns:
        int64 [batch, classes x classes].
    """
    cells = tf.reshape(true * classes + told, [tf.shape(true)[0], -1])
    counts = tf.reshape((true >= 0) & (true < classes), tf.shape(cells))
    # One bin behind the last takes what is left out.
    found = tf.math.bincount(
        tf.where(counts, cells, classes * classes),
        minlength=classes * classes + 1,
        maxlength=classes * classes + 1,
        axis=-1,
        dtype=tf.int64,
    )
    return tf.reshape(found, [-1, classes * classes + 1])[:, :-1]


class _Pixels(tf.keras.metrics.Metric):
    """Adds up the confusion matrices of pictures."""

    def __init__(self, name: str, classes: int, dtype: str = "float64") -> None:
        """The metric with nothing counted."""
        super().__init__(name=name, dtype=dtype)
        self._classes = classes
        self._matrix = self.add_weight("matrix", shape=[classes, classes], initializer="zeros")

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts pictures.

        Args:
            y_true: How many pixels count, [batch] or [batch, 1], which the matrices say too.
            y_pred: As `confusion` gives them.
            sample_weight: How much each picture counts, [batch].
        """
        matrices = tf.cast(tf.reshape(y_pred, [-1, self._classes, self._classes]), self.dtype)
        if sample_weight is not None:
            matrices *= tf.cast(tf.reshape(sample_weight, [-1, 1, 1]), self.dtype)
        self._matrix.assign_add(tf.reduce_sum(matrices, axis=0))

    def reset_state(self) -> None:
        """Forgets what was counted."""
        self._matrix.assign(tf.zeros_like(self._matrix))

    def get_config(self) -> dict[str, Any]:
        """What `__init__` takes."""
        return {"name": self.name, "classes": self._classes, "dtype": self.dtype}


class MeanPixelIoU(_Pixels):
    """The mean of the IoU of the classes that any pixel is of, or is told to be of."""

    def result(self) -> tf.Tensor:
        """The mean; NaN where no pixel counts."""
        hits = tf.linalg.diag_part(self._matrix)
        union = tf.reduce_sum(self._matrix, axis=0) + tf.reduce_sum(self._matrix, axis=1) - hits
        return tf.reduce_mean(tf.boolean_mask(hits / union, union > 0))


class PixelAccuracy(_Pixels):
    """The share of pixels that are told rightly."""

    def result(self) -> tf.Tensor:
        """The share; NaN where no pixel counts."""
        return tf.linalg.trace(self._matrix) / tf.reduce_sum(self._matrix)
