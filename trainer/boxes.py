"""How well boxes lie upon each other. A box is top, left, bottom and right, in shares of a picture from 0 to 1."""

import tensorflow as tf


def area(boxes: tf.Tensor) -> tf.Tensor:
    """The areas of boxes, of shape [..., 4]; 0 of one that is upside down."""
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    return tf.maximum(bottom - top, 0.0) * tf.maximum(right - left, 0.0)


def iou(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """The area that boxes have in common, by that which they cover together.

    Args:
        one: Of shape [..., 4].
        other: Likewise.

    Returns:
        From 0 to 1, of shape [...]; 0 where both have no area.
    """
    common = area(_common(one, other))
    return tf.math.divide_no_nan(common, area(one) + area(other) - common)


def giou(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """The generalised IoU, which tells how far boxes are from each other where they have nothing in common.

    Rezatofighi et al., Generalized Intersection over Union, CVPR 2019 (https://arxiv.org/abs/1902.09630).

    Args:
        one: Of shape [..., 4].
        other: Likewise.

    Returns:
        From -1 to 1, of shape [...]: the IoU, less the share of the smallest box around both that neither covers.
    """
    together = area(one) + area(other) - area(_common(one, other))
    around = tf.concat([tf.minimum(one, other)[..., :2], tf.maximum(one, other)[..., 2:]], axis=-1)
    return iou(one, other) - tf.math.divide_no_nan(area(around) - together, area(around))


def of_raw(outputs: tf.Tensor) -> tf.Tensor:
    """Boxes of a model's raw outputs, both of shape [..., 4].

    The outputs are the logits of the middle, down and across, and of height and width: so none is upside down, and at 0
    a box is in the middle and of half the size.
    """
    middle, size = tf.split(tf.sigmoid(outputs), 2, axis=-1)
    return tf.concat([middle - size / 2, middle + size / 2], axis=-1)


def _common(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.concat([tf.maximum(one, other)[..., :2], tf.minimum(one, other)[..., 2:]], axis=-1)
