"""Training on label `regression`: a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.labels.regression import RegressionLabel
from hubline.trainer.labels.label import LabelTraining
from hubline.trainer.task import VALUE, Task

if TYPE_CHECKING:
    from hubline.preprocessing.columns import ParsingSpec
    from hubline.trainer.config.losses import AnyLoss
    from hubline.trainer.inputs import Tensors
    from hubline.trainer.metric_names import MetricName


class Regression(Task):
    """Predicts a number. The loss refers to the normalized number, and metrics to the number in the label's unit."""

    outputs = 1

    def __init__(self, undone: Callable[[tf.Tensor, tf.DType], tf.Tensor]) -> None:
        """Args:
        undone: Converts normalized numbers to the label's unit, in the given dtype.
        """
        self._undone = undone

    def loss(self, config: AnyLoss | None = None) -> tf.keras.losses.Loss:
        from hubline.trainer.losses import of_number

        return of_number(config)

    @cached_property
    def centre(self) -> float:
        """The number that is 0 when it is normalized."""
        return float(self._undone(tf.zeros([1]), tf.float64)[0])

    def loss_target(self, target: tf.Tensor) -> tf.Tensor:
        """Normalized numbers, float32 [batch, 1]."""
        return tf.reshape(tf.cast(target, tf.float32), [-1, 1])

    def comparable(self, target: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        from hubline.core.float64 import tensor_to_parts

        true, predicted = (self._undone(tf.reshape(values, [-1]), tf.float64) for values in (target, outputs))
        return tensor_to_parts(true), tensor_to_parts(predicted)

    def answer(self, outputs: tf.Tensor) -> Tensors:
        """`VALUE`."""
        return {VALUE: self._undone(outputs[:, 0], tf.float64)}

    def on_device(self, outputs: tf.Tensor) -> Tensors:
        """`VALUE` as float32."""
        return {VALUE: self._undone(outputs[:, 0], tf.float32)}


def _task(label: RegressionLabel, transform: tft.TFTransformOutput, spec: ParsingSpec) -> Task:
    from hubline.preprocessing.columns import as_parsed

    any_record = {name: as_parsed(column, tf.ones([1], column.dtype)) for name, column in spec.items()}
    return Regression(label.undone(transform.transform_features_layer()(any_record)))


def keras_metric(metric: MetricName, classes: Sequence[str], centre: float) -> tf.keras.metrics.Metric:
    """As `LabelTraining.keras_metric`."""
    from hubline.trainer.metrics.regression import of_numbers

    return of_numbers(metric, centre)


TRAINING = LabelTraining(
    metrics=("rmse", "mae", "r2"),
    training_metrics=("rmse", "mae"),
    keras_metric=keras_metric,
    task=_task,
    losses=("mse", "mae", "huber", "asymmetric"),
)
