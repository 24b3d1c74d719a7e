"""Private APIs of Keras. Each function states what is private and why it is needed; nothing else uses them."""

import sys
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def random_generators(model: tf.keras.Model) -> list[tf.random.Generator]:
    """Random generators of a model's layers, such as dropout.

    Private: a layer's `_random_generator` and its `_generator`. Keras includes them neither in `layer.weights` nor in
    checkpoints, and training resumed from a checkpoint must draw the same numbers as an uninterrupted one.
    """
    owners = [getattr(module, "_random_generator", None) for module in model.submodules]
    found = [getattr(owner, "_generator", None) for owner in owners]
    return [generator for generator in found if generator is not None]


def validation_writer(callback: tf.keras.callbacks.TensorBoard) -> Any:
    """TensorBoard's writer for the validation split.

    Private: `_val_writer`. A separate writer in the same folder would create a second event file in each phase.
    """
    return callback._val_writer


def preprocess_input(application: Callable[..., tf.keras.Model]) -> Callable[[tf.Tensor], tf.Tensor]:
    """The `preprocess_input` that belongs to a function in `tf.keras.applications`.

    Private: that both are in the same module. The public modules don't tell which one belongs to a function such as
    `MobileNetV3Small`.
    """
    return sys.modules[application.__module__].preprocess_input


def regularization_losses(model: tf.keras.Model) -> list[Callable[[], tf.Tensor]]:
    """The losses of a model's weights, each a function without arguments.

    Private: a layer's `_callable_losses`. The public `losses` of a model has their present values only.
    """
    layers = [layer for layer in model.submodules if isinstance(layer, tf.keras.layers.Layer)]
    return [loss for layer in [model, *layers] for loss in layer._callable_losses]
