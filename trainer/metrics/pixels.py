"""Segmentation metrics, computed from each image's confusion matrix.

An image's prediction is stored as this matrix, flattened to [classes x classes]: true classes by row, predicted classes
by column. Its size doesn't depend on the image's, and ignored pixels don't count in it.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from hubline.trainer.metric_names import MetricName


def of_pixels(metric: MetricName, classes: Sequence[str]) -> tf.keras.metrics.Metric:
    """A metric of the classes of pixels."""
    match metric.family:
        case "pixel_accuracy":
            return PixelAccuracy(metric.text, len(classes))
        case "mean_iou":
            return MeanPixelIoU(metric.text, len(classes))
        case "iou(<class>)":
            return PixelIoU(metric.text, len(classes), metric.index(classes))
    raise AssertionError(metric)  # excluded by the pipeline file's validation


def confusion(true: tf.Tensor, predictions: tf.Tensor, classes: int) -> tf.Tensor:
    """Confusion matrix of each image.

    Args:
        true: Class numbers, int32 [batch, height, width]. Values outside the classes, such as `LEFT_OUT`, are ignored.
        predictions: Predicted class numbers, same shape; must be valid wherever `true` is.
        classes: Number of classes.

    Returns:
        int64 [batch, classes x classes].
    """
    cells = tf.reshape(true * classes + predictions, [tf.shape(true)[0], -1])
    counts = tf.reshape((true >= 0) & (true < classes), tf.shape(cells))
    # An additional last bin counts the ignored pixels.
    found = tf.math.bincount(
        tf.where(counts, cells, classes * classes),
        minlength=classes * classes + 1,
        maxlength=classes * classes + 1,
        axis=-1,
        dtype=tf.int64,
    )
    return tf.reshape(found, [-1, classes * classes + 1])[:, :-1]


class _Pixels(tf.keras.metrics.Metric):
    """Sums the confusion matrices of images."""

    def __init__(self, name: str, classes: int, dtype: str = "float64") -> None:
        super().__init__(name=name, dtype=dtype)
        self._classes = classes
        self._matrix = self.add_weight("matrix", shape=[classes, classes], initializer="zeros")

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Adds a batch.

        Args:
            y_true: Number of pixels that count, [batch] or [batch, 1]; unused, as the matrices contain it.
            y_pred: As `confusion` returns.
            sample_weight: [batch].
        """
        matrices = tf.cast(tf.reshape(y_pred, [-1, self._classes, self._classes]), self.dtype)
        if sample_weight is not None:
            matrices *= tf.cast(tf.reshape(sample_weight, [-1, 1, 1]), self.dtype)
        self._matrix.assign_add(tf.reduce_sum(matrices, axis=0))

    def reset_state(self) -> None:
        self._matrix.assign(tf.zeros_like(self._matrix))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "classes": self._classes, "dtype": self.dtype}

    def _hits_and_unions(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Numerator and denominator of the IoU of each class, [classes]."""
        hits = tf.linalg.diag_part(self._matrix)
        return hits, tf.reduce_sum(self._matrix, axis=0) + tf.reduce_sum(self._matrix, axis=1) - hits


class MeanPixelIoU(_Pixels):
    """Mean IoU over the classes that occur in labels or predictions."""

    def result(self) -> tf.Tensor:
        """NaN if no pixel counts."""
        hits, unions = self._hits_and_unions()
        return tf.reduce_mean(tf.boolean_mask(hits / unions, unions > 0))


class PixelIoU(_Pixels):
    """IoU of one class."""

    def __init__(self, name: str, classes: int, of: int | None, dtype: str = "float64") -> None:
        """Args:
        name: The metric's name.
        classes: Number of classes.
        of: Index of the class.
        dtype: Of the sums.
        """
        super().__init__(name, classes, dtype)
        self._of = of

    def result(self) -> tf.Tensor:
        """NaN if the class occurs neither in labels nor in predictions."""
        hits, unions = self._hits_and_unions()
        return hits[self._of] / unions[self._of]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "of": self._of}


class PixelAccuracy(_Pixels):
    """Fraction of pixels that are classified correctly."""

    def result(self) -> tf.Tensor:
        """NaN if no pixel counts."""
        return tf.linalg.trace(self._matrix) / tf.reduce_sum(self._matrix)
