"""Training on label `class_and_box`: the class of one object in an image, and its bounding box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.config import Features
from hubline.preprocessing.feature_columns import images
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel, LossWeights
from hubline.trainer import boxes
from hubline.trainer.labels.classes import AVERAGES, BY_CLASS, class_outputs
from hubline.trainer.labels.label import LabelTraining
from hubline.trainer.task import BOX, SCORES, Task

if TYPE_CHECKING:
    from hubline.preprocessing.columns import ParsingSpec
    from hubline.preprocessing.kinds.image import ImageFeature
    from hubline.trainer.config.losses import AnyLoss
    from hubline.trainer.inputs import Boxes, Tensors
    from hubline.trainer.metric_names import MetricName


class ClassAndBox(Task):
    """Predicts one of several classes, and a box in the image.

    The target is the class index followed by the box in the model's input image. An object that was cropped away has a
    box without area, and contributes no loss. The raw outputs are a logit for each class followed by the four numbers
    of `boxes.of_raw`.
    """

    def __init__(self, names: Sequence[str], weights: LossWeights, image: str) -> None:
        """Args:
        names: Class names, by index. With a single class, only the box is learned.
        weights: Weights of class and box in the loss.
        image: The feature that the box refers to.
        """
        self.outputs = len(names) + 4
        self.class_names = tuple(names)
        self._names = tf.constant(list(names))
        self._weights = weights
        self._image = image

    def loss(self, config: AnyLoss | None = None) -> tf.keras.losses.Loss:
        """Weighted sum of the class's cross-entropy and 1 - GIoU of the box.

        The evaluation uses IoU, too. GIoU weighs small and large boxes equally and has a gradient even if boxes don't
        overlap; a distance between coordinates, such as Huber's, gives large boxes more weight.
        """
        from hubline.trainer.losses import MeanLoss

        def of_both(target: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
            of_class = tf.nn.sparse_softmax_cross_entropy_with_logits(_index(target), outputs[:, :-4])
            of_box = 1.0 - boxes.giou(target[:, 1:], boxes.of_raw(outputs[:, -4:]))
            is_seen = tf.cast(boxes.area(target[:, 1:]) > 0, tf.float32)
            return is_seen * (self._weights.of_class * of_class + self._weights.box * of_box)

        return MeanLoss(of_both)

    def loss_target_spec(self, outputs: tf.TensorShape) -> tf.TensorSpec:
        """Class index, and the box in the model's input image."""
        return tf.TensorSpec([outputs[0], 5], tf.float32)

    def comparable(self, target: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        answer = self.answer(outputs)
        return target, tf.concat([answer[SCORES], answer[BOX]], axis=1)

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`LABEL`, `SCORE`, `CLASSES`, `SCORES`, and `BOX` in the model's input image."""
        of_class = class_outputs(self._names, outputs[:, :-4])
        return of_class | {BOX: tf.clip_by_value(boxes.of_raw(outputs[:, -4:]), 0.0, 1.0)}

    def placed(self, answer: Tensors, features: Mapping[str, ImageFeature], encoded: Tensors) -> Tensors:
        """Maps `BOX` to the original image."""
        return answer | {BOX: boxes.unfitted(features[self._image], encoded[self._image], answer[BOX])}


def _index(target: tf.Tensor) -> tf.Tensor:
    return tf.cast(target[:, 0], tf.int32)


def _task(label: ClassAndBoxLabel, transform: tft.TFTransformOutput, spec: ParsingSpec) -> Task:
    return ClassAndBox(label.class_names(transform), label.loss_weights, label.image)


def _needs_pictures(label: ClassAndBoxLabel, features: Features) -> bool:
    return not images(features)[label.image].is_whole


def _boxes(label: ClassAndBoxLabel, spec: ParsingSpec) -> Boxes:
    from hubline.preprocessing.columns import present
    from hubline.trainer.inputs import Boxes

    def of(serialized: tf.Tensor) -> tf.Tensor:
        parsed = tf.io.parse_example(serialized, spec)
        return label.boxes(lambda column: present(parsed[column]))

    return Boxes(label.image, of)


def _keras_metric(metric: MetricName, classes: Sequence[str], centre: float) -> tf.keras.metrics.Metric:
    from hubline.trainer.metrics.boxes import of_boxes
    from hubline.trainer.metrics.classification import of_one_class

    return of_boxes(metric) if metric.family in _OF_BOXES else of_one_class(metric, classes)


_OF_BOXES = ("mean_iou", "iou_50")

TRAINING = LabelTraining(
    metrics=(
        *("mean_iou", "accuracy", "iou_50", "cross_entropy", "auc", "pr_auc", "top_<k>_accuracy"),
        *AVERAGES,
        *BY_CLASS,
    ),
    training_metrics=("accuracy", "mean_iou"),
    keras_metric=_keras_metric,
    task=_task,
    needs_pictures=_needs_pictures,
    boxes=_boxes,
)
