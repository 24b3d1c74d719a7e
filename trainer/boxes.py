"""Boxes in pictures: how well they lie upon each other, and where they are in what a model sees.

A box is top, left, bottom and right, in shares of a picture's height and width.
"""

import tensorflow as tf

from hubline.preprocessing.encoded_images import shape_of
from hubline.preprocessing.kinds import image
from hubline.preprocessing.kinds.image import ImageFeature


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


def fitted(feature: ImageFeature, encoded: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Boxes in an image, as boxes in what the model sees of it; below 0 or above 1 where they are cut off.

    Args:
        feature: How the image is made to fit.
        encoded: The image, a scalar string.
        boxes: float32 [n, 4].
    """
    return boxes if feature.fit == "stretch" else image.boxes(feature, shape_of(encoded), boxes)


def unfitted(feature: ImageFeature, encoded: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Boxes in what a model sees of images, as boxes in the images.

    Args:
        feature: How the images are made to fit.
        encoded: The images, string [batch].
        boxes: A box for each, float32 [batch, 4].

    Returns:
        From 0 to 1, of the same shape.
    """
    seen = covered(feature, encoded)
    begin, size = seen[:, :2], seen[:, 2:] - seen[:, :2]
    return tf.clip_by_value(tf.tile(begin, [1, 2]) + boxes * tf.tile(size, [1, 2]), 0.0, 1.0)


def covered(feature: ImageFeature, encoded: tf.Tensor) -> tf.Tensor:
    """What a model sees of images, as a box in each.

    Args:
        feature: How the images are made to fit.
        encoded: The images, string [batch].

    Returns:
        float32 [batch, 4]: less than the image where it is cut, and below 0 and above 1 where it is padded.
    """
    whole = tf.constant([[0.0, 0.0, 1.0, 1.0]])
    if feature.fit == "stretch":
        return tf.tile(whole, [tf.shape(encoded)[0], 1])
    placed = tf.map_fn(
        lambda one: image.boxes(feature, shape_of(one), whole)[0],
        encoded,
        fn_output_signature=tf.TensorSpec([4], tf.float32),
    )
    begin, end = placed[:, :2], placed[:, 2:]  # of the whole image in what the model sees
    return tf.concat([-begin, 1.0 - begin], axis=1) / tf.tile(end - begin, [1, 2])


def _common(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.concat([tf.maximum(one, other)[..., :2], tf.minimum(one, other)[..., 2:]], axis=-1)
