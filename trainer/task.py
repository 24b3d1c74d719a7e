"""What a kind of label means for the model: how many numbers it gives, what it is trained by, and what it answers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf
import tensorflow_transform as tft

from hubline.core.errors import DataError
from hubline.preprocessing.columns import ParsingSpec, as_parsed
from hubline.preprocessing.config import Label
from hubline.preprocessing.encoding_layers import Counted
from hubline.preprocessing.kinds.image import ImageFeature
from hubline.preprocessing.kinds.kind import Values
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel, LossWeights
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.labels.regression import RegressionLabel
from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer import boxes
from hubline.trainer.inputs import Tensors

LABEL, SCORE, CLASSES, SCORES = "label", "score", "classes", "scores"
"""What a model answers that tells classes: the best one (string [batch]), its probability (float32 [batch]), and for
every class its name (string [batch, classes]) and probability (float32 [batch, classes])."""

CHOSEN = "chosen"
"""What a model answers besides `CLASSES` and `SCORES` where a record has any number of classes: which are told (bool
[batch, classes]). The scores are probabilities, each of its own class alone."""

BOX = "box"
"""What a model answers besides `LABEL`, `SCORE`, `CLASSES` and `SCORES` where it tells where in a picture something is:
top, left, bottom and right in shares of the picture's height and width as it was given (float32 [batch, 4])."""

MASK, COVERS = "mask", "covers"
"""What a model answers besides `CLASSES` where it tells what each pixel is of: the number of a class for each (uint8
[batch, height, width], of the image feature's size), and what part of the picture as it was given this covers: top,
left, bottom and right in shares of its height and width, below 0 and above 1 where there is nothing of the picture
(float32 [batch, 4])."""

VALUE = "value"
"""What a model of a regression answers: the number, in the units of the label (float64 [batch]: of a mean far from 0,
float32 would lose what the model adds to it)."""


class Task(ABC):
    """One kind of label. The raw outputs of a model are float32 of shape [batch, outputs], or of each pixel [batch,
    height, width, outputs]."""

    outputs: int
    """How many numbers the model gives for each record."""

    def target(self, label: Values) -> tf.Tensor:
        """What `loss` and `metrics` compare with the raw outputs, of the transformed label: the same, [batch]."""
        return label

    @abstractmethod
    def loss(self) -> tf.keras.losses.Loss:
        """What training makes small, by the target and the raw outputs."""

    @abstractmethod
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """What is shown beside the loss, by the same."""

    def mixable(self) -> "Task":
        """The same with targets that can be mixed, float32 [batch] or [batch, n]; metrics are of the greater part."""
        return self

    @abstractmethod
    def answer(self, outputs: tf.Tensor) -> Tensors:
        """What the exported model says, by name, of raw outputs."""

    def placed(self, answer: Tensors, features: Mapping[str, ImageFeature], encoded: Tensors) -> Tensors:
        """An answer with what it says of places in pictures as the model sees them said of the pictures as they are.

        Args:
            answer: What `answer` gave.
            features: How images are made to fit, by feature.
            encoded: The images, string [batch], by feature.
        """
        return answer


def task_of(label: Label, transform: tft.TFTransformOutput, spec: ParsingSpec) -> Task:
    """The task that a label sets.

    Args:
        label: The label.
        transform: The transform graph, which knows classes and statistics.
        spec: How the label's columns are parsed.

    Raises:
        DataError: where there are too few classes.
    """
    if isinstance(label, MultilabelLabel):
        return AnyClasses(label.class_names(transform), label.threshold)
    if isinstance(label, RegressionLabel):
        any_record = {name: as_parsed(column, tf.ones([1], column.dtype)) for name, column in spec.items()}
        transformed = transform.transform_features_layer()(any_record)
        return Regression(label.undone(transformed))
    if isinstance(label, ClassAndBoxLabel):
        return ClassAndBox(label.class_names(transform), label.loss_weights, label.image)
    if isinstance(label, PixelsLabel):
        return Pixels(label.classes, label.image)
    return Classes(label.class_names(transform))


class Classes(Task):
    """Tells which of some classes it is."""

    def __init__(self, names: Sequence[str]) -> None:
        """The task with the names of the classes, by index.

        Raises:
            DataError: where there is one only.
        """
        if len(names) < 2:
            raise DataError(f"the training split has one class only, '{names[0]}'; there is nothing to tell apart")
        self.outputs = len(names)
        self._names = tf.constant(list(names))

    def loss(self) -> tf.keras.losses.Loss:
        """Cross-entropy."""
        return tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """Accuracy."""
        return [tf.keras.metrics.SparseCategoricalAccuracy("accuracy")]

    def mixable(self) -> "Task":
        """One-hot targets."""
        return _MixableClasses([name.decode() for name in self._names.numpy()])

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`LABEL`, `SCORE`, `CLASSES` and `SCORES`."""
        return _of_classes(self._names, outputs)


class ClassAndBox(Task):
    """Tells which of some classes it is, and where in the picture.

    The target is the class by its number, and behind it the box in the picture as the model sees it. What is no longer
    in that picture has a box without an area, and teaches nothing. The raw outputs are a number for each class, and
    behind them the four of `boxes.of_raw`.
    """

    def __init__(self, names: Sequence[str], weights: LossWeights, image: str) -> None:
        """The task with the names of the classes, by index, how much class and box count, and the feature that the box
        is in; there may be one class: then the box alone is learned."""
        self.outputs = len(names) + 4
        self._names = tf.constant(list(names))
        self._weights = weights
        self._image = image

    def loss(self) -> tf.keras.losses.Loss:
        """The cross-entropy of the class and 1 - GIoU of the box, each by its weight.

        GIoU is what the box is judged by, the same for small boxes as for large ones, and tells the way also where
        boxes have nothing in common; a distance of coordinates, such as Huber's, weighs large boxes more.
        """

        def of_both(target: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
            of_class = tf.nn.sparse_softmax_cross_entropy_with_logits(_index(target), outputs[:, :-4])
            of_box = 1.0 - boxes.giou(target[:, 1:], boxes.of_raw(outputs[:, -4:]))
            is_seen = tf.cast(boxes.area(target[:, 1:]) > 0, tf.float32)
            return is_seen * (self._weights.of_class * of_class + self._weights.box * of_box)

        return _Loss(of_both)

    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """Accuracy of the class, and the mean IoU of the box."""

        def is_right(target: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
            return tf.argmax(outputs[:, :-4], axis=1, output_type=tf.int32) == _index(target)

        def iou(target: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
            return boxes.iou(target[:, 1:], self.answer(outputs)[BOX])

        mean = tf.keras.metrics.MeanMetricWrapper
        return [mean(is_right, "accuracy"), mean(iou, "mean_iou")]

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`LABEL`, `SCORE`, `CLASSES`, `SCORES`, and `BOX` in the picture as the model saw it."""
        of_class = _of_classes(self._names, outputs[:, :-4])
        return of_class | {BOX: tf.clip_by_value(boxes.of_raw(outputs[:, -4:]), 0.0, 1.0)}

    def placed(self, answer: Tensors, features: Mapping[str, ImageFeature], encoded: Tensors) -> Tensors:
        """The same with `BOX` in the picture as it was given."""
        return answer | {BOX: boxes.unfitted(features[self._image], encoded[self._image], answer[BOX])}


def _of_classes(names: tf.Tensor, logits: tf.Tensor) -> Tensors:
    """What is answered of classes with these names, string [classes], by their logits, float32 [batch, classes]."""
    scores = tf.nn.softmax(logits)
    best = tf.argmax(scores, axis=1)
    return {
        LABEL: tf.gather(names, best),
        SCORE: tf.reduce_max(scores, axis=1),
        CLASSES: tf.tile(names[tf.newaxis], [tf.shape(scores)[0], 1]),
        SCORES: scores,
    }


class _Loss(tf.keras.losses.Loss):
    """The mean of what a function gives for each example."""

    def __init__(self, of_each: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]) -> None:
        super().__init__()
        self.call = of_each


def _index(target: tf.Tensor) -> tf.Tensor:
    return tf.cast(target[:, 0], tf.int32)


class _MixableClasses(Classes):
    def target(self, label: Values) -> tf.Tensor:
        return tf.one_hot(label, self.outputs)

    def loss(self) -> tf.keras.losses.Loss:
        return tf.keras.losses.CategoricalCrossentropy(from_logits=True)

    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return [tf.keras.metrics.CategoricalAccuracy("accuracy")]


class Pixels(Task):
    """Tells of each pixel of a picture which of some classes it is of.

    The target is a mask, uint8 [batch, height, width, 1], as `masks.fitted` gives it.
    """

    def __init__(self, names: Sequence[str], image: str) -> None:
        """The task with the names of the classes, by their number in masks, and the feature that is the picture."""
        self.outputs = len(names)
        self._names = tf.constant(list(names))
        self._image = image

    def loss(self) -> tf.keras.losses.Loss:
        """The cross-entropy, the mean over the pixels of a batch that are not left out."""

        def of_each(target: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
            number, counts = _numbers(target), _counted(target)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(counts, number, 0), outputs)
            share = tf.reduce_mean(tf.cast(counts, tf.float32))
            return tf.math.divide_no_nan(tf.where(counts, each, 0.0), share)

        return _Loss(of_each)

    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """The share of pixels that are told rightly, and the mean of the IoU of each class over all pixels."""

        def is_right(target: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
            right = tf.argmax(outputs, axis=-1, output_type=tf.int32) == _numbers(target)
            return tf.boolean_mask(right, _counted(target))

        mean_iou = tf.keras.metrics.MeanIoU(
            self.outputs, "mean_iou", _PIXELS, ignore_class=LEFT_OUT, sparse_y_true=True, sparse_y_pred=False
        )
        return [tf.keras.metrics.MeanMetricWrapper(is_right, "pixel_accuracy", _PIXELS), mean_iou]

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`MASK`, `CLASSES` and, as of pictures that are seen whole, `COVERS`."""
        batch = tf.shape(outputs)[0]
        return {
            MASK: tf.cast(tf.argmax(outputs, axis=-1, output_type=tf.int32), tf.uint8),
            CLASSES: tf.tile(self._names[tf.newaxis], [batch, 1]),
            COVERS: tf.tile([[0.0, 0.0, 1.0, 1.0]], [batch, 1]),
        }

    def placed(self, answer: Tensors, features: Mapping[str, ImageFeature], encoded: Tensors) -> Tensors:
        """The same with what `COVERS` is of the picture as it was given."""
        return answer | {COVERS: boxes.covered(features[self._image], encoded[self._image])}


_PIXELS = "float64"
"""The type that pixels are counted in: float32 stops at 2^24, which is 256 pictures of 256 x 256."""


def _numbers(target: tf.Tensor) -> tf.Tensor:
    """Of a mask, uint8 [batch, height, width, 1], the numbers, int32 [batch, height, width]."""
    return tf.cast(target[..., 0], tf.int32)


def _counted(target: tf.Tensor) -> tf.Tensor:
    """Of the same, which pixels are not left out, bool [batch, height, width]."""
    return _numbers(target) != LEFT_OUT


class AnyClasses(Task):
    """Tells of each of some classes whether a record is of it."""

    def __init__(self, names: Sequence[str], threshold: float) -> None:
        """The task with the names of the classes, by index, and the score from which one is told.

        Raises:
            DataError: where there is none.
        """
        if not names:
            raise DataError("no record of the training split has a class; there is nothing to learn")
        self.outputs = len(names)
        self._names = tf.constant(list(names))
        self._threshold = threshold
        self._multi_hot = Counted(len(names), at_most_once=True, name="label")

    def target(self, label: Values) -> tf.Tensor:
        """1 for each class of a record and 0 for the others, float32 [batch, classes]."""
        return self._multi_hot([label])

    def loss(self) -> tf.keras.losses.Loss:
        """Binary cross-entropy, the mean over classes."""
        return tf.keras.losses.BinaryCrossentropy(from_logits=True)

    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """The share of classes that are told rightly, and F1 over all classes together."""
        logit = math.log(self._threshold / (1 - self._threshold))
        return [_BinaryAccuracy("binary_accuracy", threshold=logit), _F1OfLogits(self._threshold)]

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`CLASSES`, `SCORES` and `CHOSEN`."""
        scores = tf.sigmoid(outputs)
        return {
            CLASSES: tf.tile(self._names[tf.newaxis], [tf.shape(scores)[0], 1]),
            SCORES: scores,
            CHOSEN: scores >= self._threshold,
        }


class _BinaryAccuracy(tf.keras.metrics.BinaryAccuracy):
    """Keras' accuracy, also of targets that are mixed."""

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        super().update_state(_hard(y_true), y_pred, sample_weight)


class _F1OfLogits(tf.keras.metrics.F1Score):
    """Keras' F1 over all classes together, which takes probabilities alone."""

    def __init__(self, threshold: float) -> None:
        super().__init__(average="micro", threshold=threshold, name="f1")

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        super().update_state(_hard(y_true), tf.sigmoid(y_pred), sample_weight)


def _hard(target: tf.Tensor) -> tf.Tensor:
    """The classes of the greater part of what was mixed; where nothing was, the same."""
    return tf.cast(target > 0.5, tf.float32)


class Regression(Task):
    """Tells a number. Loss and metrics are of the normalised one."""

    outputs = 1

    def __init__(self, undone: Callable[[tf.Tensor], tf.Tensor]) -> None:
        """The task with what takes a normalised number back into the label's units."""
        self._undone = undone

    def loss(self) -> tf.keras.losses.Loss:
        """The mean squared error."""
        return tf.keras.losses.MeanSquaredError()

    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """The root of it, and the mean absolute error."""
        return [tf.keras.metrics.RootMeanSquaredError(name="rmse"), tf.keras.metrics.MeanAbsoluteError(name="mae")]

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`VALUE`."""
        return {VALUE: self._undone(outputs[:, 0])}
