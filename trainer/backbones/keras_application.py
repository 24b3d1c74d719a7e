"""The architectures of keras.applications."""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from hubline.core.errors import UserError, library_reason
from hubline.trainer.adapters.keras import preprocess_input
from hubline.trainer.backbones.config import KerasApplication


def keras_application(config: KerasApplication, height: int, width: int, weights: str | None) -> tf.keras.Model:
    """The network without its top: float32 [batch, height, width, 3], as `preprocess` returns it, to [batch, n].

    Args:
        config: The architecture and its options.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        weights: File with the initial weights; None for random weights.

    Raises:
        UserError: if the images are too small for the architecture, or the file is damaged or contains other weights.
    """
    try:
        network = _function(config)(
            include_top=False,
            weights=None,  # anything else would be downloaded
            input_shape=(height, width, 3),
            pooling=config.pooling,
            **config.options,
        )
    except ValueError as error:
        raise UserError(f"{config.name} can't be built for images of {height} x {width}: {_line(error)}") from error
    if weights is not None:
        _load(network, weights, config)
    return network


def preprocess(config: KerasApplication, pixels: tf.Tensor) -> tf.Tensor:
    """Applies the architecture's own `preprocess_input` to RGB pixels, uint8 [batch, height, width, 3]; float32."""
    return preprocess_input(_function(config))(tf.cast(pixels, tf.float32))


def _function(config: KerasApplication) -> Callable[..., tf.keras.Model]:
    return getattr(tf.keras.applications, config.name)


def _load(network: tf.keras.Model, weights: str, config: KerasApplication) -> None:
    try:
        network.load_weights(weights)
    # Keras, h5py and zipfile each raise their own: a missing layer, another shape, or no weights file at all.
    except Exception as error:
        raise UserError(
            f"{config.weights}: not the weights of {config.name}{_with(config.options)} without its top, as Keras "
            f"writes them: {_line(error)}"
        ) from error


def _with(options: Mapping[str, Any]) -> str:
    return f" with {', '.join(f'{option}: {value}' for option, value in options.items())}" if options else ""


def _line(error: Exception) -> str:
    return library_reason(error)
