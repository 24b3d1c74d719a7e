"""Kind `image`: from encoded bytes to pixels, and from pixels to the tensor that a module takes."""

import tensorflow as tf

from preprocessing.config import ImageFeature


def pixels(feature: ImageFeature, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes and resizes one image.

    Args:
        feature: Size, channels, fit and interpolation.
        encoded: A scalar string: a JPEG, PNG, GIF (its first frame) or BMP.

    Returns:
        A uint8 tensor of shape [height, width, channels]. It is rounded, as other image libraries do, so that what is
        kept between epochs takes a quarter of the memory and is the same as what a served model sees.

    Raises:
        tf.errors.InvalidArgumentError: where the bytes are not such an image.
    """
    height, width = feature.size
    decoded = _decode_centre(feature, encoded) if feature.fit == "crop" else _decode(encoded)
    if feature.channels == 1:
        decoded = tf.image.rgb_to_grayscale(decoded)
    resized = tf.image.resize(decoded, [height, width], method=feature.resize)
    if feature.resize == "bicubic":  # which overshoots the range of its input
        resized = tf.clip_by_value(resized, 0.0, 255.0)
    rounded = tf.cast(tf.round(resized), tf.uint8)
    return tf.ensure_shape(rounded, [height, width, feature.channels])


def scaled(feature: ImageFeature, images: tf.Tensor) -> tf.Tensor:
    """Pixels, uint8 of any shape, as float32: black at `value_range[0]`, white at `value_range[1]`."""
    low, high = feature.value_range
    return tf.cast(images, tf.float32) * ((high - low) / 255.0) + low


def decode(feature: ImageFeature, encoded: tf.Tensor) -> tf.Tensor:
    """One image as the tensor that a module takes: `pixels`, `scaled`."""
    return scaled(feature, pixels(feature, encoded))


def _decode(encoded: tf.Tensor) -> tf.Tensor:
    # Always as RGB: TensorFlow turns only JPEG and PNG to grey by itself.
    return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _decode_centre(feature: ImageFeature, encoded: tf.Tensor) -> tf.Tensor:
    """The largest window in the middle with the proportions of `size`; of a JPEG nothing else is decoded."""

    def of_jpeg() -> tf.Tensor:
        shape = tf.io.extract_jpeg_shape(encoded)
        return tf.io.decode_and_crop_jpeg(encoded, _centre(feature, shape), channels=3)

    def of_another() -> tf.Tensor:
        whole = _decode(encoded)
        top, left, height, width = tf.unstack(_centre(feature, tf.shape(whole)))
        return whole[top : top + height, left : left + width]

    return tf.cond(tf.io.is_jpeg(encoded), of_jpeg, of_another)


def _centre(feature: ImageFeature, shape: tf.Tensor) -> tf.Tensor:
    """Top, left, height and width of that window in an image of a shape [height, width, ...], in pixels."""
    # In integers: floats of an exact fit can come out a pixel short.
    height = tf.minimum(shape[0], shape[1] * feature.size[0] // feature.size[1])
    width = tf.minimum(shape[1], shape[0] * feature.size[1] // feature.size[0])
    height, width = tf.maximum(height, 1), tf.maximum(width, 1)
    return tf.stack([(shape[0] - height) // 2, (shape[1] - width) // 2, height, width])
