"""Interface between training and a kind of label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_transform as tft

    from hubline.preprocessing.columns import ParsingSpec
    from hubline.preprocessing.config import Features
    from hubline.preprocessing.labels.pixels import PixelsLabel
    from hubline.trainer.class_weights import ClassWeighting
    from hubline.trainer.inputs import Boxes
    from hubline.trainer.metric_names import MetricName
    from hubline.trainer.task import Task


def _no(label: Any, features: Features) -> bool:
    return False


def _none(label: Any, spec: ParsingSpec) -> None:
    return None


@dataclass(frozen=True)
class LabelTraining:
    """The training part of a kind of label. Modules that define one don't import TensorFlow at the top, because
    `hubline check` reads the names of the metrics. `Any` stands for the label's own type."""

    metrics: tuple[str, ...]
    """Metrics of the label, as in `FAMILIES`. The first two are the default of `evaluation.metrics`, and the first is
    the default threshold."""
    training_metrics: tuple[str, ...]
    """Metrics computed in each epoch by default, besides the loss; cheap ones."""
    keras_metric: Callable[[MetricName, Sequence[str], float], tf.keras.metrics.Metric]
    """Creates one of the `metrics`, from its name, the class names, and a typical value of the labels. It takes labels
    and predictions as the Evaluator stores them."""
    task: Callable[[Any, tft.TFTransformOutput, ParsingSpec], Task]
    """Creates the task for a label, from the transform graph, which contains classes and statistics, and the parsing
    spec of the label's columns.

    Raises:
        DataError: if there are too few classes to learn.
    """
    losses: tuple[str, ...] = ()
    """Losses that `training.loss` may name, the default first. Empty if the label has one loss only."""
    class_weighting: Callable[[Sequence[str]], ClassWeighting] | None = None
    """How `training.class_weights` weighs the loss, from the class names by index; None if the label can't have class
    weights."""
    takes_sample_weight: bool = True
    """Whether the loss has one value for each record, which `training.sample_weight` can weigh."""
    needs_pictures: Callable[[Any, Features], bool] = _no
    """Whether the target depends on how an image is cropped or padded. The rows with cached vectors don't contain that,
    so a head can't be trained on vectors alone."""
    boxes: Callable[[Any, ParsingSpec], Boxes | None] = _none
    """Boxes that move with the label's image."""
    mask: Callable[[Any, ParsingSpec], PixelsLabel | None] = _none
    """The label itself, if its masks move with its image."""
