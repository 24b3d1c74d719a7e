"""Mixed precision: Keras' policy, and loss scaling for several optimizers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

LossScaleOptimizer = tf.keras.mixed_precision.LossScaleOptimizer


@contextmanager
def policy(name: str) -> Iterator[None]:
    """Layers made in the context compute by Keras' policy of this name."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def in_float32(outputs: tf.Tensor) -> tf.Tensor:
    """Outputs of a model in float32, in which losses and metrics are computed."""
    if outputs.dtype == tf.float32:
        return outputs
    return tf.keras.layers.Activation("linear", dtype="float32", name="in_float32")(outputs)


def loss_scaled(
    optimizer: tf.keras.optimizers.Optimizer, policy: tf.keras.mixed_precision.Policy
) -> tf.keras.optimizers.Optimizer:
    """The optimizer with dynamic loss scaling if the policy needs it. Keras does the same in `compile`."""
    return LossScaleOptimizer(optimizer) if policy.name == "mixed_float16" else optimizer


def scaled(optimizers: Sequence[tf.keras.optimizers.Optimizer], loss: tf.Tensor) -> tf.Tensor:
    """The loss times the loss scale, which all optimizers have in common (see `unscaled`)."""
    scales = [one.get_scaled_loss(loss) for one in optimizers if isinstance(one, LossScaleOptimizer)]
    return scales[-1] if scales else loss


def unscaled(
    optimizers: Sequence[tf.keras.optimizers.Optimizer], gradients: Sequence[Sequence[Any]]
) -> Sequence[Sequence[Any]]:
    """The gradients of each optimizer without the loss scale.

    An optimizer skips a step whose gradients overflow, and lowers its scale. If the gradients of any overflow, those of
    all are replaced by NaN, so that all skip the step and keep the same scale.
    """
    if not isinstance(optimizers[0], LossScaleOptimizer):
        return gradients
    own = [one.get_unscaled_gradients(some) for one, some in zip(optimizers, gradients, strict=True)]
    if len(own) == 1:
        return own
    values = [part for part in tf.nest.flatten(own, expand_composites=True) if part is not None]
    finite = [tf.reduce_all(tf.math.is_finite(part)) for part in values if part.dtype.is_floating]
    factor = tf.where(tf.reduce_all(finite), 1.0, float("nan"))
    return [[_times(one, factor) for one in some] for some in own]


def _times(gradient: Any, factor: tf.Tensor) -> Any:
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(gradient.values * factor, gradient.indices, gradient.dense_shape)
    return None if gradient is None else gradient * factor
