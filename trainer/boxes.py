"""Overlap of bounding boxes, and their coordinates in the model's input image.

A box is top, left, bottom and right, as fractions of an image's height and width.
"""

from __future__ import annotations

from hubline.core.lazy_import import tf
from hubline.preprocessing.encoded_images import shape_of
from hubline.preprocessing.kinds import image_geometry as geometry
from hubline.preprocessing.kinds.image import ImageFeature


def area(boxes: tf.Tensor) -> tf.Tensor:
    """Areas of boxes, [..., 4]; 0 for an inverted box."""
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    return tf.maximum(bottom - top, 0.0) * tf.maximum(right - left, 0.0)


def iou(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Intersection over union.

    Args:
        one: Boxes of shape [..., 4].
        other: Boxes of the same shape.

    Returns:
        From 0 to 1, of shape [...]; 0 if neither box has an area.
    """
    common = area(_common(one, other))
    return tf.math.divide_no_nan(common, area(one) + area(other) - common)


def giou(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """Generalized IoU, which also measures the distance between boxes that don't overlap.

    Rezatofighi et al., Generalized Intersection over Union, CVPR 2019 (https://arxiv.org/abs/1902.09630).

    Args:
        one: Boxes of shape [..., 4].
        other: Boxes of the same shape.

    Returns:
        From -1 to 1, of shape [...]: the IoU, minus the fraction of the smallest enclosing box that neither box covers.
    """
    together = area(one) + area(other) - area(_common(one, other))
    around = tf.concat([tf.minimum(one, other)[..., :2], tf.maximum(one, other)[..., 2:]], axis=-1)
    return iou(one, other) - tf.math.divide_no_nan(area(around) - together, area(around))


def of_raw(outputs: tf.Tensor) -> tf.Tensor:
    """Boxes from a model's raw outputs, both of shape [..., 4].

    The raw outputs are the logits of the centre (y, x) and of height and width. No box can be inverted, and zeros give
    a centred box of half the image's size.
    """
    middle, size = tf.split(tf.sigmoid(outputs), 2, axis=-1)
    return tf.concat([middle - size / 2, middle + size / 2], axis=-1)


def fitted(feature: ImageFeature, encoded: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Maps boxes from an image to the model's input image, and clips them to what is left of the image there.

    Args:
        feature: How the image is cropped and fitted.
        encoded: The encoded image, a scalar string.
        boxes: float32 [n, 4].

    Returns:
        The boxes, and which of them count, as `geometry.clipped` returns them.
    """
    if feature.is_whole:
        return geometry.clipped(boxes)
    shape = shape_of(encoded)
    return geometry.clipped(geometry.boxes(feature, shape, boxes), geometry.extent(feature, shape))


def unfitted(feature: ImageFeature, encoded: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Maps predicted boxes from the model's input image back to the original image.

    Args:
        feature: How the images are fitted.
        encoded: The encoded images, string [batch].
        boxes: One box per image, float32 [batch, 4].

    Returns:
        Boxes in [0, 1], of the same shape.
    """
    seen = covered(feature, encoded)
    begin, size = seen[:, :2], seen[:, 2:] - seen[:, :2]
    return tf.clip_by_value(tf.tile(begin, [1, 2]) + boxes * tf.tile(size, [1, 2]), 0.0, 1.0)


def covered(feature: ImageFeature, encoded: tf.Tensor) -> tf.Tensor:
    """The part of each image that the model sees, as a box.

    Args:
        feature: How the images are fitted.
        encoded: The encoded images, string [batch].

    Returns:
        float32 [batch, 4]: smaller than the image if it is cropped, below 0 and above 1 if it is padded.
    """
    whole = tf.constant([[0.0, 0.0, 1.0, 1.0]])
    if feature.is_whole:
        return tf.tile(whole, [tf.shape(encoded)[0], 1])
    placed = tf.map_fn(
        lambda one: geometry.boxes(feature, shape_of(one), whole)[0],
        encoded,
        fn_output_signature=tf.TensorSpec([4], tf.float32),
    )
    begin, end = placed[:, :2], placed[:, 2:]  # of the whole image within the model's input
    return tf.concat([-begin, 1.0 - begin], axis=1) / tf.tile(end - begin, [1, 2])


def _common(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.concat([tf.maximum(one, other)[..., :2], tf.minimum(one, other)[..., 2:]], axis=-1)
