"""An architecture of keras.applications as the source of a module."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from hubline.core.errors import UserError, library_reason
from hubline.trainer.adapters.keras import preprocess_input
from hubline.trainer.keras_files.links import refuse_links
from hubline.trainer.keras_files.model import source_of, with_layers
from hubline.trainer.keras_files.reusable import Source


class Scaled(tf.keras.layers.Layer):
    """Pixels in [0, 1], as the architecture takes them."""

    def __init__(self, preprocess: Callable[[tf.Tensor], tf.Tensor]) -> None:
        super().__init__(name="scaled")
        self._preprocess = preprocess

    def call(self, pixels: tf.Tensor) -> tf.Tensor:
        return self._preprocess(255.0 * pixels)


def application(name: str, weights: str | None, size: tuple[int, int] | None, layers: Sequence[str]) -> Source:
    """The architecture without its top, for images float32 [batch, height, width, 3] in [0, 1].

    Args:
        name: Its name in keras.applications.
        weights: File with weights without the top; None for random ones.
        size: Height and width; None for any.
        layers: Layers whose outputs to return; by default, the average over the positions of the last layer.

    Raises:
        UserError: if the architecture can't be built, or the file contains other weights, or none of its own.
    """
    function = getattr(tf.keras.applications, name)
    try:
        network = function(
            include_top=False,
            weights=None,  # anything else would be downloaded
            input_shape=None if size is None else (*size, 3),
            pooling="avg",
        )
    except ValueError as error:
        raise UserError(f"{name} can't be built: {library_reason(error)}") from error
    if weights is not None:
        refuse_links(weights)
        try:
            network.load_weights(weights)
        except Exception as error:  # Keras, h5py and zipfile each raise their own
            raise UserError(f"{weights}: not the weights of {name} without its top: {library_reason(error)}") from error
    images = tf.keras.Input(network.input.shape[1:], name="images")
    scaled = Scaled(preprocess_input(function))
    chosen = with_layers(network, layers) if layers else network
    return source_of(tf.keras.Model(images, chosen(scaled(images))), 2)
