"""What a model learns from a label: how many numbers it outputs, its loss and metrics, and the exported outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hubline.core.lazy_import import tf

if TYPE_CHECKING:
    from hubline.preprocessing.kinds.image import ImageFeature
    from hubline.preprocessing.kinds.kind import Values
    from hubline.trainer.inputs import Tensors

LABEL, SCORE, CLASSES, SCORES = "label", "score", "classes", "scores"
"""Outputs of a model that predicts classes: the best class (string [batch]), its probability (float32 [batch]), and for
every class its name (string [batch, classes]) and probability (float32 [batch, classes])."""

CHOSEN = "chosen"
"""Output of a multilabel model besides `CLASSES` and `SCORES`: which classes are predicted (bool [batch, classes]). The
scores are independent probabilities, one for each class."""

BOX = "box"
"""Output of a class-and-box model besides `LABEL`, `SCORE`, `CLASSES` and `SCORES`: top, left, bottom and right as
shares of the height and width of the original picture (float32 [batch, 4])."""

MASK, COVERS = "mask", "covers"
"""Outputs of a segmentation model besides `CLASSES`: the class index of each pixel (uint8 [batch, height, width], of
the image feature's size), and the part of the original picture that the mask covers: top, left, bottom and right as
shares of its height and width, below 0 and above 1 in padding (float32 [batch, 4])."""

VALUE = "value"
"""Output of a regression model: the number in the units of the label (float64 [batch]: with a mean far from 0, float32
would lose what the model adds to it)."""


class Task(ABC):
    """The learning task that a label sets. The raw outputs of a model are float32 [batch, outputs], or for each pixel
    [batch, height, width, outputs]."""

    outputs: int
    """How many numbers the model outputs for each record, or for each pixel."""

    def target(self, label: Values) -> tf.Tensor:
        """The transformed label as `loss` and `metrics` compare it with the raw outputs; by default unchanged."""
        return label

    @abstractmethod
    def loss(self) -> tf.keras.losses.Loss:
        """The loss of target and raw outputs."""

    @abstractmethod
    def metrics(self) -> list[tf.keras.metrics.Metric]:
        """The metrics of target and raw outputs that training shows beside the loss."""

    def mixable(self) -> Task:
        """The same task with targets that mixup can mix, float32 [batch] or [batch, n]; metrics take the greater
        part."""
        return self

    @abstractmethod
    def answer(self, outputs: tf.Tensor) -> Tensors:
        """The outputs of the exported model, by name, from raw outputs."""

    def placed(self, answer: Tensors, features: Mapping[str, ImageFeature], encoded: Tensors) -> Tensors:
        """Maps places in an answer from the model's input images back to the original images.

        Args:
            answer: What `answer` returned.
            features: How images are resized, by feature.
            encoded: The images, string [batch], by feature.
        """
        return answer
