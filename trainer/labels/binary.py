"""Training on label `binary`: two classes, learned like any classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hubline.trainer.class_weights import OneClass
from hubline.trainer.labels.classes import AVERAGES, BY_CLASS, task
from hubline.trainer.labels.label import LabelTraining

if TYPE_CHECKING:
    import tensorflow as tf

    from hubline.trainer.metric_names import MetricName


def _keras_metric(metric: MetricName, classes: Sequence[str], centre: float) -> tf.keras.metrics.Metric:
    from hubline.trainer.metrics.classification import of_one_class

    return of_one_class(metric, classes, positive=1)


TRAINING = LabelTraining(
    metrics=("accuracy", "cross_entropy", "auc", "pr_auc", "precision", "recall", "f1", *AVERAGES, *BY_CLASS),
    training_metrics=("accuracy",),
    keras_metric=_keras_metric,
    task=task,
    losses=("cross_entropy", "focal"),
    class_weighting=OneClass,
)
