"""Builds the layer of a user's own builder function."""

import inspect
from collections.abc import Mapping

import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.backbones.config import Builder
from hubline.trainer.user_function import importable, imported, of_user, parameters


def built(config: Builder, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The output of the user's layer for symbolic Keras inputs.

    Args:
        config: The function and its arguments.
        inputs: Inputs by name. The layer is called with the single input, or with the mapping if there are several.

    Raises:
        UserError: if the function cannot be imported, rejects its arguments, fails, or doesn't return a Keras layer; or
            if that layer fails, or doesn't return numbers of shape [batch, n].
    """
    with importable(config):
        function = imported(config)
        try:
            signature = inspect.signature(function)
            signature.bind(**config.arguments)
        except (TypeError, ValueError) as error:
            takes = parameters(function)
            raise UserError(f"{config.call} takes {takes}, and `arguments` do not fit: {error}") from None
        tf.keras.backend.reset_uids()  # so that unnamed layers get the same name in every process
        layer = of_user(f"{config.call} failed", config, lambda: function(**config.arguments))
        if not isinstance(layer, tf.keras.layers.Layer):
            raise UserError(
                f"{config.call} returned a {type(layer).__module__}.{type(layer).__name__}, but must return a layer or "
                "model of tf.keras (import tensorflow as tf), which is Keras 2 here"
            )
        given = next(iter(inputs.values())) if len(inputs) == 1 else dict(inputs)
        vector = of_user(f"what {config.call} gives cannot be called", config, lambda: layer(given))
    if not tf.is_tensor(vector):
        raise UserError(f"{config.call}: the output must be one tensor, [batch, n]; got {type(vector).__name__}")
    shape = vector.shape
    if shape.rank != 2 or shape[1] is None or not (vector.dtype.is_floating or vector.dtype.is_integer):
        shown = f"{vector.dtype.name}{[*shape] if shape.rank is not None else ' of unknown rank'}".replace("None", "?")
        raise UserError(f"{config.call}: the output must be numbers [batch, n] with n known; got {shown}")
    return vector
