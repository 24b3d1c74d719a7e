"""Random changes of training images."""

from collections.abc import Sequence

import tensorflow as tf

from trainer.config import Augmentation


def augmented(augment: Sequence[Augmentation], image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """One image, changed.

    Args:
        augment: What to do, in order.
        image: uint8 of shape [height, width, channels].
        seed: Two integers, int64 of shape [2]: the same ones give the same picture.

    Returns:
        uint8 of the same shape.
    """
    unit = tf.cast(image, tf.float32) / 255.0
    for number, change in enumerate(augment):
        unit = tf.clip_by_value(_apply(change, unit, seed + number), 0.0, 1.0)
    return tf.ensure_shape(tf.saturate_cast(tf.round(unit * 255.0), tf.uint8), image.shape)


def _apply(change: Augmentation, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    if change.flip_left_right:
        return tf.image.stateless_random_flip_left_right(image, seed)
    if change.flip_up_down:
        return tf.image.stateless_random_flip_up_down(image, seed)
    if change.brightness is not None:
        return tf.image.stateless_random_brightness(image, change.brightness, seed)
    if change.contrast is not None:
        return tf.image.stateless_random_contrast(image, 1.0 - change.contrast, 1.0 + change.contrast, seed)
    return _cropped(image, change.crop or 0.0, seed)


def _cropped(image: tf.Tensor, most: float, seed: tf.Tensor) -> tf.Tensor:
    """A window of at least `1 - most` of height and width, somewhere in the image, enlarged to the image's size."""
    height, width, _ = image.shape
    share, top, left = tf.unstack(tf.random.stateless_uniform([3], seed))
    size = 1.0 - most * share
    top, left = top * (1.0 - size), left * (1.0 - size)
    boxes = tf.stack([[top, left, top + size, left + size]])
    return tf.image.crop_and_resize(image[tf.newaxis], boxes, [0], [height, width])[0]
