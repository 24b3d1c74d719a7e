"""Training on label `regression`: a number."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.labels.regression import RegressionLabel
from hubline.trainer.labels.label import LabelTraining
from hubline.trainer.task import VALUE, Task

if TYPE_CHECKING:
    from hubline.preprocessing.columns import ParsingSpec
    from hubline.trainer.config.losses import AnyLoss
    from hubline.trainer.inputs import Tensors


class Regression(Task):
    """Predicts a number. Loss and metrics refer to the normalized number."""

    outputs = 1

    def __init__(self, undone: Callable[[tf.Tensor, tf.DType], tf.Tensor]) -> None:
        """Args:
        undone: Converts normalized numbers to the label's unit, in the given dtype.
        """
        self._undone = undone

    def loss(self, config: AnyLoss | None = None) -> tf.keras.losses.Loss:
        from hubline.trainer.losses import of_number

        return of_number(config)

    def metrics(self) -> list[tf.keras.metrics.Metric]:
        return [tf.keras.metrics.RootMeanSquaredError(name="rmse"), tf.keras.metrics.MeanAbsoluteError(name="mae")]

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


TRAINING = LabelTraining(
    metrics=("rmse", "mae", "r2"),
    training_metrics=("rmse", "mae"),
    task=_task,
    losses=("mse", "mae", "huber", "asymmetric"),
)
