"""Keras losses and metrics that Keras lacks."""

from collections.abc import Callable

import tensorflow as tf


class MeanLoss(tf.keras.losses.Loss):
    """The mean of a function of target and raw outputs that returns a value for each example."""

    def __init__(self, of_each: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> None:
        """The loss with its function."""
        super().__init__()
        self.call = of_each


class HardBinaryAccuracy(tf.keras.metrics.BinaryAccuracy):
    """Keras' accuracy, for mixed targets too."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples by the greater part of their mixed targets, [batch, classes]."""
        super().update_state(_hard(y_true), y_pred, sample_weight)


class F1OfLogits(tf.keras.metrics.F1Score):
    """Keras' F1 over all classes together. Keras' own takes probabilities only."""

    def __init__(self, threshold: float) -> None:
        """The metric with the probability from which a class is predicted."""
        super().__init__(average="micro", threshold=threshold, name="f1")

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples by the greater part of their mixed targets, [batch, classes]."""
        super().update_state(_hard(y_true), tf.sigmoid(y_pred), sample_weight)


def _hard(target: tf.Tensor) -> tf.Tensor:
    """The classes of the greater part of a mixed target; the same where nothing was mixed."""
    return tf.cast(target > 0.5, tf.float32)
