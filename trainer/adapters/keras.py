"""Private parts of Keras. Each says what is private and why it is needed; nothing else uses them."""

import sys
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def random_generators(model: tf.keras.Model) -> list[tf.random.Generator]:
    """The generators that a model's layers draw from, for dropout for example.

    Private: `_random_generator` of a layer and `_generator` of that. Keras has them neither in `layer.weights` nor in
    checkpoints, and training that goes on from a checkpoint must draw what it would have drawn.
    """
    owners = [getattr(module, "_random_generator", None) for module in model.submodules]
    found = [getattr(owner, "_generator", None) for owner in owners]
    return [generator for generator in found if generator is not None]


def validation_writer(callback: tf.keras.callbacks.TensorBoard) -> Any:
    """The writer of TensorBoard's logs of the validation split.

    Private: `_val_writer`. A writer of our own in the same folder would make a second event file for each phase.
    """
    return callback._val_writer


def preprocess_input(application: Callable[..., tf.keras.Model]) -> Callable[[tf.Tensor], tf.Tensor]:
    """The `preprocess_input` that goes with a function of `tf.keras.applications`.

    Private: that both stand in one module. The public modules don't tell which of them belongs to a function such as
    `MobileNetV3Small`.
    """
    return sys.modules[application.__module__].preprocess_input
