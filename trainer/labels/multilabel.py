"""Training on label `multilabel`: any number of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hubline.core.errors import DataError
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.trainer.class_weights import ManyClasses
from hubline.trainer.labels.classes import AVERAGES, BY_CLASS
from hubline.trainer.labels.label import LabelTraining
from hubline.trainer.task import CHOSEN, CLASSES, SCORES, Task

if TYPE_CHECKING:
    from hubline.preprocessing.columns import ParsingSpec
    from hubline.preprocessing.kinds.kind import Values
    from hubline.trainer.config.losses import AnyLoss
    from hubline.trainer.inputs import Tensors
    from hubline.trainer.metric_names import MetricName


class Multilabel(Task):
    """Predicts for each class whether a record belongs to it."""

    def __init__(self, names: Sequence[str], threshold: float) -> None:
        """Args:
            names: Class names, by index.
            threshold: Score from which a class is predicted.

        Raises:
            DataError: if there is no class.
        """
        from hubline.preprocessing.encoding_layers import CategoryCounts

        if not names:
            raise DataError("no record of the training split has a class; there is nothing to learn")
        self.outputs = len(names)
        self.class_names = tuple(names)
        self._names = tf.constant(list(names))
        self._threshold = threshold
        self._multi_hot = CategoryCounts(len(names), at_most_once=True, name="label")

    def target(self, label: Values) -> tf.Tensor:
        """Multi-hot targets, float32 [batch, classes]."""
        return self._multi_hot([label])

    def loss(self, config: AnyLoss | None = None) -> tf.keras.losses.Loss:
        """Averaged over the classes."""
        from hubline.trainer.losses import of_many

        return of_many(config)

    def comparable(self, target: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Mixed targets are rounded to 0 or 1."""
        answer = self.answer(outputs)
        chosen = tf.cast(answer[CHOSEN], tf.float32)
        return tf.cast(target > 0.5, tf.int64), tf.concat([answer[SCORES], chosen], axis=1)

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`CLASSES`, `SCORES` and `CHOSEN`."""
        scores = tf.sigmoid(outputs)
        return {
            CLASSES: tf.tile(self._names[tf.newaxis], [tf.shape(scores)[0], 1]),
            SCORES: scores,
            CHOSEN: scores >= self._threshold,
        }


def _task(label: MultilabelLabel, transform: tft.TFTransformOutput, spec: ParsingSpec) -> Task:
    return Multilabel(label.class_names(transform), label.threshold)


def _keras_metric(metric: MetricName, classes: Sequence[str], centre: float) -> tf.keras.metrics.Metric:
    from hubline.trainer.metrics.classification import of_several_classes

    return of_several_classes(metric, classes)


TRAINING = LabelTraining(
    metrics=(
        *("f1", "macro_f1", "precision", "recall", "auc", "pr_auc", "cross_entropy", "exact_match", "binary_accuracy"),
        *(name for name in AVERAGES if name != "macro_f1"),
        *BY_CLASS,
    ),
    training_metrics=("binary_accuracy", "f1"),
    keras_metric=_keras_metric,
    task=_task,
    losses=("cross_entropy", "focal"),
    class_weighting=ManyClasses,
)
