"""Metrics that Keras lacks."""

import tensorflow as tf


class HardBinaryAccuracy(tf.keras.metrics.BinaryAccuracy):
    """Binary accuracy that supports mixed targets."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples, with mixed targets rounded, [batch, classes]."""
        super().update_state(_hard(y_true), y_pred, sample_weight)


class F1OfLogits(tf.keras.metrics.F1Score):
    """Micro-averaged F1 of logits. Keras' own accepts probabilities only."""

    def __init__(self, threshold: float) -> None:
        """Args:
        threshold: Probability from which a class is predicted.
        """
        super().__init__(average="micro", threshold=threshold, name="f1")

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Counts examples, with mixed targets rounded, [batch, classes]."""
        super().update_state(_hard(y_true), tf.sigmoid(y_pred), sample_weight)


def _hard(target: tf.Tensor) -> tf.Tensor:
    """Rounds mixed targets to 0 or 1; others are unchanged."""
    return tf.cast(target > 0.5, tf.float32)
