"""Metrics of the training and validation splits in each epoch."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from hubline.core.config_errors import dotted
from hubline.core.errors import UserError
from hubline.preprocessing.config import Label
from hubline.trainer.config.training import Training
from hubline.trainer.labels.parts import TRAINING
from hubline.trainer.metric_names import MetricName, class_fault
from hubline.trainer.task import Task


def training_metrics(training: Training, label: Label, task: Task) -> list[tf.keras.metrics.Metric]:
    """The metrics of the label that are computed by default, and those that the section `training` names.

    Raises:
        UserError: if a metric does not exist for the classes of the training split.
    """
    named = training.named_metrics
    faults = [
        f"{dotted(('training', *location))}: {fault}"
        for location, name in named
        if (fault := class_fault(name, task.class_names))
    ]
    if faults:
        raise UserError("\n".join(faults))
    names = dict.fromkeys([*TRAINING.of(label.kind).training_metrics, *(name for _, name in named)])
    return metrics_of(label.kind, task, list(names))


def metrics_of(kind: str, task: Task, names: Sequence[str]) -> list[tf.keras.metrics.Metric]:
    """Metrics between the targets and the raw outputs of a task.

    Args:
        kind: Kind of the label.
        task: The label's task.
        names: Metrics that exist for the label and its classes.
    """
    create = TRAINING.of(kind).keras_metric
    return [OfOutputs(create(MetricName.parse(name), task.class_names, task.centre), task.comparable) for name in names]


class OfOutputs(tf.keras.metrics.Metric):
    """A metric of `hubline.trainer.metrics` that takes targets and raw outputs."""

    def __init__(
        self,
        metric: tf.keras.metrics.Metric,
        comparable: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    ) -> None:
        """Args:
        metric: The metric.
        comparable: As `Task.comparable`.
        """
        super().__init__(name=metric.name, dtype=metric.dtype)
        self._metric, self._comparable = metric, comparable

    def update_state(self, y_true: tf.Tensor, y_pred: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        self._metric.update_state(*self._comparable(y_true, y_pred), sample_weight)

    def result(self) -> tf.Tensor:
        return self._metric.result()

    def reset_state(self) -> None:
        self._metric.reset_state()
