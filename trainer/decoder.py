"""The U-Net decoder: from a module's feature maps to per-pixel outputs.

Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation, 2015
(https://arxiv.org/abs/1505.04597).
"""

from collections.abc import Mapping

import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.config.model import Head

_LAST, _MOST = 32, 256
"""Default channels: of the last step, and at most."""

Size = tuple[int, ...]


def levels(maps: Mapping[str, Size], size: Size) -> dict[str, int]:
    """How often each feature map must be doubled in height and width to reach the image's size.

    Args:
        maps: Height, width and channels by output.
        size: Height and width of the image.

    Raises:
        UserError: if doubling doesn't reach the image's size, or two maps have the same size.
    """
    found: dict[str, int] = {}
    for name, (height, width, _) in maps.items():
        level = max(size[0] // max(height, 1), 1).bit_length() - 1
        if (height << level, width << level) != size:
            raise UserError(
                f"the module's output '{name}' is {height}x{width} for pictures of {size[0]}x{size[1]}: doubled again "
                "and again it does not come to that size; name another output, or give the feature a size that can be "
                "halved as often as the module does"
            )
        twin = next((other for other, taken in found.items() if taken == level), None)
        if twin is not None:
            raise UserError(
                f"the module's outputs '{twin}' and '{name}' are both {height}x{width}; name one of each size"
            )
        found[name] = level
    return found


def channels_of(config: Head, steps: int) -> tuple[int, ...]:
    """Number of channels of each step.

    Raises:
        UserError: if `config` lists another number of steps.
    """
    if config.channels and len(config.channels) != steps:
        raise UserError(
            f"model.head.channels names {len(config.channels)} steps, and from the module's smallest output to the "
            f"picture's size there are {steps}"
        )
    return config.channels or tuple(min(_LAST << step, _MOST) for step in reversed(range(steps)))


def decode(config: Head, maps: Mapping[str, tf.Tensor], size: Size, outputs: int) -> tf.Tensor:
    """Decodes feature maps to raw outputs.

    Each step doubles height and width by a transposed convolution, concatenates the feature map of the new size if
    there is one, and applies two convolutions.

    Args:
        config: Channels and dropout of the steps.
        maps: Symbolic feature maps by output, float32 [batch, height, width, channels].
        size: Height and width of the image.
        outputs: Number of outputs per pixel.

    Returns:
        Symbolic float32 [batch, height, width, outputs] of the image's size.

    Raises:
        UserError: as `levels` and `channels_of` do.
    """
    layers = tf.keras.layers
    at = levels({name: tuple(values.shape[1:]) for name, values in maps.items()}, size)
    by_level = {level: maps[name] for name, level in at.items()}
    top = max(by_level)
    given = by_level[top]
    for step, channels in enumerate(channels_of(config, top), start=1):
        level = top - step
        given = layers.Dropout(config.dropout, name=f"decoder_{level}_dropout")(given)
        given = layers.Conv2DTranspose(
            channels,
            3,
            strides=2,
            padding="same",
            activation="relu",
            kernel_initializer=config.initializer or "glorot_uniform",
            name=f"decoder_{level}_up",
        )(given)
        if level in by_level:
            given = layers.Concatenate(name=f"decoder_{level}_skip")([given, by_level[level]])
        for number in (1, 2):
            convolution = layers.Conv2D(
                channels,
                3,
                padding="same",
                activation="relu",
                kernel_initializer=config.initializer or "glorot_uniform",
                name=f"decoder_{level}_{number}",
            )
            given = convolution(given)
    return layers.Conv2D(outputs, 1, kernel_initializer=config.initializer or small(), name="decoder_outputs")(given)


def small() -> tf.keras.initializers.Initializer:
    """Initializer of a last layer: Glorot uniform, scaled down by ten."""
    return tf.keras.initializers.VarianceScaling(scale=0.01, mode="fan_avg", distribution="uniform")
