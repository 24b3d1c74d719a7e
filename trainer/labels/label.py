"""What training must know of a kind of label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubline.trainer.metric_names import Metric

if TYPE_CHECKING:
    import tensorflow_transform as tft

    from hubline.preprocessing.columns import ParsingSpec
    from hubline.preprocessing.config import Features
    from hubline.preprocessing.labels.pixels import PixelsLabel
    from hubline.trainer.inputs import Boxes
    from hubline.trainer.task import Task


def _no(label: Any, features: Features) -> bool:
    return False


def _none(label: Any, spec: ParsingSpec) -> None:
    return None


@dataclass(frozen=True)
class LabelTraining:
    """What training knows of a kind of label. Modules that define one import no TensorFlow at the top: `hubline check`
    reads the names of the metrics. `Any` stands for the label's own type."""

    metrics: tuple[Metric, ...]
    """The metrics that a model can be evaluated by. The first two are the default of `evaluation.metrics`, and the
    first is the default threshold."""
    training_metrics: tuple[str, ...]
    """What training computes in each epoch beside the loss: the names of `Task.metrics`."""
    task: Callable[[Any, tft.TFTransformOutput, ParsingSpec], Task]
    """The task of a label, from the transform graph, which knows classes and statistics, and the parsing spec of the
    label's columns.

    Raises:
        DataError: if there are too few classes to learn.
    """
    needs_pictures: Callable[[Any, Features], bool] = _no
    """Whether the target depends on how a picture is cropped or padded. The rows beside kept vectors don't know that,
    so a head can't be trained on vectors alone."""
    boxes: Callable[[Any, ParsingSpec], Boxes | None] = _none
    """The boxes that move with the label's picture."""
    mask: Callable[[Any, ParsingSpec], PixelsLabel | None] = _none
    """The label itself, if its masks move with its picture."""
