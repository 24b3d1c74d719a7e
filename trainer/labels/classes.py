"""Training on label `class`: one of several classes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hubline.core.errors import DataError
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.labels.label import ClassesKind
from hubline.trainer.class_weights import OneClass
from hubline.trainer.labels.label import LabelTraining
from hubline.trainer.task import CLASSES, LABEL, SCORE, SCORES, Task

if TYPE_CHECKING:
    from hubline.preprocessing.columns import ParsingSpec
    from hubline.preprocessing.kinds.kind import Values
    from hubline.trainer.config.losses import AnyLoss
    from hubline.trainer.inputs import Tensors
    from hubline.trainer.metric_names import MetricName

AVERAGES = ("macro_precision", "macro_recall", "macro_f1", "micro_f1")
"""Metrics over all classes."""

BY_CLASS = ("precision(<class>)", "recall(<class>)", "f1(<class>)", "auc(<class>)", "pr_auc(<class>)")
"""Metrics of one class against the rest."""


class Classes(Task):
    """Predicts one of several classes."""

    def __init__(self, names: Sequence[str]) -> None:
        """Args:
            names: Class names, by index.

        Raises:
            DataError: if there is only one class.
        """
        if len(names) < 2:
            raise DataError(f"the training split has one class only, '{names[0]}'; there is nothing to distinguish")
        self.is_one_hot = False
        """Whether targets are shares of the classes rather than an index."""
        self.outputs = len(names)
        self.class_names = tuple(names)
        self._names = tf.constant(list(names))

    def target(self, label: Values) -> tf.Tensor:
        return tf.one_hot(label, self.outputs) if self.is_one_hot else label

    def loss(self, config: AnyLoss | None = None) -> tf.keras.losses.Loss:
        from hubline.trainer.losses import of_classes

        return of_classes(config, self.outputs, self.is_one_hot)

    def loss_target(self, target: tf.Tensor) -> tf.Tensor:
        """Shares of the classes, float32 [batch, classes]."""
        return target if self.is_one_hot else tf.one_hot(tf.reshape(target, [-1]), self.outputs)

    def comparable(self, target: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Of a one-hot target, the class with the largest share counts."""
        return (tf.argmax(target, axis=1) if self.is_one_hot else target), self.predictions(tf.nn.softmax(outputs))

    def predictions(self, scores: tf.Tensor) -> tf.Tensor:
        """Predictions as `class_columns` has them, from the scores, float32 [batch, classes]."""
        return scores

    def mixable(self) -> Task:
        """The task with one-hot targets."""
        mixable = copy.copy(self)
        mixable.is_one_hot = True
        return mixable

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`LABEL`, `SCORE`, `CLASSES` and `SCORES`."""
        return class_outputs(self._names, outputs)


def class_outputs(names: tf.Tensor, logits: tf.Tensor) -> Tensors:
    """The model outputs for classes.

    Args:
        names: Class names, string [classes].
        logits: float32 [batch, classes].
    """
    scores = tf.nn.softmax(logits)
    best = tf.argmax(scores, axis=1)
    return {
        LABEL: tf.gather(names, best),
        SCORE: tf.reduce_max(scores, axis=1),
        CLASSES: tf.tile(names[tf.newaxis], [tf.shape(scores)[0], 1]),
        SCORES: scores,
    }


def task(label: ClassesKind, transform: tft.TFTransformOutput, spec: ParsingSpec) -> Task:
    """As `LabelTraining.task`."""
    return Classes(label.class_names(transform))


def _keras_metric(metric: MetricName, classes: Sequence[str], centre: float) -> tf.keras.metrics.Metric:
    from hubline.trainer.metrics.classification import of_one_class

    return of_one_class(metric, classes)


TRAINING = LabelTraining(
    metrics=("accuracy", "cross_entropy", "auc", "pr_auc", "top_<k>_accuracy", *AVERAGES, *BY_CLASS),
    training_metrics=("accuracy",),
    keras_metric=_keras_metric,
    task=task,
    losses=("cross_entropy", "focal"),
    class_weighting=OneClass,
)
