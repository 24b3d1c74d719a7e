"""Training on label `pixels`: the class of each pixel of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.config import Features
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer import boxes
from hubline.trainer.labels.label import LabelTraining
from hubline.trainer.task import CLASSES, COVERS, MASK, Task

if TYPE_CHECKING:
    from hubline.preprocessing.columns import ParsingSpec
    from hubline.preprocessing.kinds.image import ImageFeature
    from hubline.trainer.config.losses import AnyLoss
    from hubline.trainer.inputs import Tensors
    from hubline.trainer.metric_names import MetricName


class Pixels(Task):
    """Predicts one of several classes for each pixel of an image.

    The target is a mask, uint8 [batch, height, width, 1], as `masks.fitted` returns it.
    """

    def __init__(self, names: Sequence[str], image: str) -> None:
        """Args:
        names: Class names, by their number in masks.
        image: The image feature.
        """
        self.outputs = len(names)
        self.class_names = tuple(names)
        self._names = tf.constant(list(names))
        self._image = image

    def loss(self, config: AnyLoss | None = None) -> tf.keras.losses.Loss:
        """Cross-entropy, averaged over the pixels of a batch that are not ignored."""
        from hubline.trainer.losses import MeanLoss
        from hubline.trainer.replicas import mean_of_batch

        def of_each(target: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
            number, counts = _numbers(target), _counted(target)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(counts, number, 0), outputs)
            share = mean_of_batch(tf.cast(counts, tf.float32))
            return tf.math.divide_no_nan(tf.where(counts, each, 0.0), share)

        return MeanLoss(of_each)

    def loss_target_spec(self, outputs: tf.TensorShape) -> tf.TensorSpec:
        """A mask."""
        return tf.TensorSpec([*outputs[:-1], 1], tf.uint8)

    def comparable(self, target: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The number of pixels that count, and the confusion matrix, of each image."""
        from hubline.trainer.metrics.pixels import confusion

        predicted = tf.argmax(outputs, axis=-1, output_type=tf.int32)
        matrices = confusion(_numbers(target), predicted, self.outputs)
        return tf.reduce_sum(matrices, axis=1, keepdims=True), matrices

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`MASK`, `CLASSES` and `COVERS`; the latter for images without cropping or padding."""
        batch = tf.shape(outputs)[0]
        return {
            MASK: tf.cast(tf.argmax(outputs, axis=-1, output_type=tf.int32), tf.uint8),
            CLASSES: tf.tile(self._names[tf.newaxis], [batch, 1]),
            COVERS: tf.tile([[0.0, 0.0, 1.0, 1.0]], [batch, 1]),
        }

    def placed(self, answer: Tensors, features: Mapping[str, ImageFeature], encoded: Tensors) -> Tensors:
        """Maps `COVERS` to the original image."""
        return answer | {COVERS: boxes.covered(features[self._image], encoded[self._image])}


def _numbers(target: tf.Tensor) -> tf.Tensor:
    """Class indices of masks, uint8 [batch, height, width, 1], as int32 [batch, height, width]."""
    return tf.cast(target[..., 0], tf.int32)


def _counted(target: tf.Tensor) -> tf.Tensor:
    """Which pixels of the masks are not ignored, bool [batch, height, width]."""
    return _numbers(target) != LEFT_OUT


def _task(label: PixelsLabel, transform: tft.TFTransformOutput, spec: ParsingSpec) -> Task:
    return Pixels(label.classes, label.image)


def _needs_pictures(label: PixelsLabel, features: Features) -> bool:
    return True


def _mask(label: PixelsLabel, spec: ParsingSpec) -> PixelsLabel:
    return label


def _keras_metric(metric: MetricName, classes: Sequence[str], centre: float) -> tf.keras.metrics.Metric:
    from hubline.trainer.metrics.pixels import of_pixels

    return of_pixels(metric, classes)


TRAINING = LabelTraining(
    metrics=("mean_iou", "pixel_accuracy", "iou(<class>)"),
    training_metrics=("pixel_accuracy", "mean_iou"),
    keras_metric=_keras_metric,
    task=_task,
    takes_sample_weight=False,
    needs_pictures=_needs_pictures,
    mask=_mask,
)
