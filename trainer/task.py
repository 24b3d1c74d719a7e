"""What a kind of label means for the model: how many numbers it gives, what it is trained by, and what it answers."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import tensorflow as tf
import tensorflow_transform as tft

from preprocessing.columns import ParsingSpec, as_parsed
from preprocessing.config import Label
from preprocessing.errors import DataError
from preprocessing.labels.regression import RegressionLabel
from trainer.inputs import Tensors

LABEL, SCORE, CLASSES, SCORES = "label", "score", "classes", "scores"
"""What a model answers that tells classes: the best one (string [batch]), its probability (float32 [batch]), and for
every class its name (string [batch, classes]) and probability (float32 [batch, classes])."""

VALUE = "value"
"""What a model of a regression answers: the number, in the units of the label (float32 [batch])."""


class Task(ABC):
    """One kind of label. The raw outputs of a model are float32 of shape [batch, outputs]."""

    outputs: int
    """How many numbers the model gives for each record."""
    start: float = 0.0
    """What these are near before anything is learned."""

    @abstractmethod
    def loss(self) -> tf.keras.losses.Loss:
        """What training makes small, by the transformed label and the raw outputs."""

    @abstractmethod
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """What is shown beside the loss, by the same."""

    @abstractmethod
    def answer(self, outputs: tf.Tensor) -> Tensors:
        """What the exported model says, by name, of raw outputs."""


def task_of(label: Label, transform: tft.TFTransformOutput, spec: ParsingSpec) -> Task:
    """The task that a label sets.

    Args:
        label: The label.
        transform: The transform graph, which knows classes and statistics.
        spec: How the label's columns are parsed.

    Raises:
        DataError: where there is one class only.
    """
    if isinstance(label, RegressionLabel):
        any_record = {name: as_parsed(column, tf.ones([1], column.dtype)) for name, column in spec.items()}
        transformed = transform.transform_features_layer()(any_record)
        return Regression(label.undone(transformed), label.start(transformed))
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

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`LABEL`, `SCORE`, `CLASSES` and `SCORES`."""
        scores = tf.nn.softmax(outputs)
        best = tf.argmax(scores, axis=1)
        return {
            LABEL: tf.gather(self._names, best),
            SCORE: tf.reduce_max(scores, axis=1),
            CLASSES: tf.tile(self._names[tf.newaxis], [tf.shape(scores)[0], 1]),
            SCORES: scores,
        }


class Regression(Task):
    """Tells a number. Loss and metrics are of the normalised one."""

    outputs = 1

    def __init__(self, undone: Callable[[tf.Tensor], tf.Tensor], start: float) -> None:
        """The task with what takes a normalised number back into the label's units, and the mean of the normalised."""
        self._undone = undone
        self.start = start

    def loss(self) -> tf.keras.losses.Loss:
        """The mean squared error."""
        return tf.keras.losses.MeanSquaredError()

    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """The root of it, and the mean absolute error."""
        return [tf.keras.metrics.RootMeanSquaredError(name="rmse"), tf.keras.metrics.MeanAbsoluteError(name="mae")]

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`VALUE`."""
        return {VALUE: self._undone(outputs[:, 0])}
