"""Kind `image`: from encoded bytes to the tensor a module takes."""

import tensorflow as tf

from preprocessing.config import ImageFeature


def decode(feature: ImageFeature, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes and resizes one image.

    Args:
        feature: Size, channels, interpolation and value range.
        encoded: A scalar string: a JPEG, PNG, GIF (its first frame) or BMP.

    Returns:
        A float32 tensor of shape [height, width, channels], black at `value_range[0]` and white at `value_range[1]`.

    Raises:
        tf.errors.InvalidArgumentError: where the bytes are not such an image.
    """
    height, width = feature.size
    # Always as RGB: TensorFlow turns only JPEG and PNG to grey by itself.
    pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    if feature.channels == 1:
        pixels = tf.image.rgb_to_grayscale(pixels)
    pixels = tf.image.resize(pixels, [height, width], method=feature.resize)
    low, high = feature.value_range
    # Bicubic interpolation overshoots the range of its input.
    scaled = tf.clip_by_value(tf.cast(pixels, tf.float32), 0.0, 255.0) * ((high - low) / 255.0) + low
    return tf.ensure_shape(scaled, [height, width, feature.channels])
