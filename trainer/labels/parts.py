"""The training part of each kind of label, by the kind's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubline.preprocessing.labels.parts import LabelParts
from hubline.trainer.labels import binary, class_and_box, classes, multilabel, pixels, regression
from hubline.trainer.labels.label import LabelTraining

if TYPE_CHECKING:
    import tensorflow_transform as tft

    from hubline.preprocessing.columns import ParsingSpec
    from hubline.preprocessing.config import Features, Label
    from hubline.trainer.task import Task

TRAINING = LabelParts[LabelTraining](
    "training, in trainer/labels",
    {
        "class": classes.TRAINING,
        "binary": binary.TRAINING,
        "multilabel": multilabel.TRAINING,
        "regression": regression.TRAINING,
        "class_and_box": class_and_box.TRAINING,
        "pixels": pixels.TRAINING,
    },
)


def task_of(label: Label, transform: tft.TFTransformOutput, spec: ParsingSpec) -> Task:
    """The task for a label; arguments and errors as for `LabelTraining.task`."""
    return TRAINING.of(label.kind).task(label, transform, spec)


def needs_pictures(label: Label, features: Features) -> bool:
    """Whether a head can't be trained on cached vectors alone; see `LabelTraining.needs_pictures`."""
    return TRAINING.of(label.kind).needs_pictures(label, features)
