"""Keras losses of the section `training.loss`, between targets and raw outputs."""

from collections.abc import Callable

import tensorflow as tf

from hubline.trainer.config.losses import (
    AnyLoss,
    Asymmetric,
    CrossEntropy,
    Focal,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
)


class MeanLoss(tf.keras.losses.Loss):
    """Mean of a function of target and raw outputs that returns a value for each example."""

    def __init__(self, of_each: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> None:
        super().__init__()
        self.call = of_each


class _OfEachOutput(tf.keras.losses.Loss):
    """A loss that is averaged over outputs, with a weight for each output."""

    def __init__(self, loss: tf.keras.losses.Loss) -> None:
        super().__init__()
        self._loss = loss

    def __call__(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> tf.Tensor:
        """Args:
        y_true: Targets, [batch, outputs].
        y_pred: Raw outputs, [batch, outputs].
        sample_weight: Weights, [batch, outputs] or [batch, 1].
        """
        return self._loss(y_true[..., tf.newaxis], y_pred[..., tf.newaxis], sample_weight)


def of_each_output(loss: tf.keras.losses.Loss) -> tf.keras.losses.Loss:
    """The same loss, which accepts a weight for each output of each example."""
    return _OfEachOutput(loss)


def of_classes(config: AnyLoss | None, classes: int, is_one_hot: bool) -> tf.keras.losses.Loss:
    """The loss of one class out of several.

    Args:
        config: `cross_entropy` or `focal`; None for cross-entropy.
        classes: Number of classes.
        is_one_hot: Whether targets are shares of the classes, [batch, classes], rather than indices, [batch].
    """
    if config is None or config == CrossEntropy(kind="cross_entropy"):
        if is_one_hot:
            return tf.keras.losses.CategoricalCrossentropy(from_logits=True)
        return tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    none = tf.keras.losses.Reduction.NONE
    if isinstance(config, CrossEntropy):
        of_shares = tf.keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing, reduction=none
        )
    else:
        assert isinstance(config, Focal)  # ensured by the pipeline file's validation
        of_shares = tf.keras.losses.CategoricalFocalCrossentropy(
            config.alpha, config.gamma, from_logits=True, label_smoothing=config.label_smoothing, reduction=none
        )
    if is_one_hot:
        return MeanLoss(of_shares)
    return MeanLoss(
        lambda target, outputs: of_shares(tf.one_hot(tf.cast(tf.reshape(target, [-1]), tf.int32), classes), outputs)
    )


def of_many(config: AnyLoss | None) -> tf.keras.losses.Loss:
    """The loss of any number of classes, averaged over them; `config` as in `of_classes`."""
    if isinstance(config, Focal):
        focal = tf.keras.losses.BinaryFocalCrossentropy(
            gamma=config.gamma,
            from_logits=True,
            label_smoothing=config.label_smoothing,
            reduction=tf.keras.losses.Reduction.NONE,
        )
        return MeanLoss(lambda target, outputs: config.alpha * focal(target, outputs))
    smoothing = config.label_smoothing if isinstance(config, CrossEntropy) else 0.0
    return tf.keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)


def of_number(config: AnyLoss | None) -> tf.keras.losses.Loss:
    """The loss of a number; None for the squared error."""
    match config:
        case None | MeanSquaredError():
            return tf.keras.losses.MeanSquaredError()
        case MeanAbsoluteError():
            return tf.keras.losses.MeanAbsoluteError()
        case Huber(delta=delta):
            return tf.keras.losses.Huber(delta)
        case Asymmetric():
            return MeanLoss(_asymmetric(config))
    raise AssertionError(config)  # excluded by the pipeline file's validation


def _asymmetric(config: Asymmetric) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    def cost(target: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        error = tf.reshape(outputs, [-1]) - tf.reshape(tf.cast(target, outputs.dtype), [-1])
        return tf.where(error > 0, config.over, config.under) * tf.abs(error) ** config.power

    return cost
