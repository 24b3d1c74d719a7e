"""The learning task of a label: number of outputs, loss, and the exported model's outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hubline.core.lazy_import import tf

if TYPE_CHECKING:
    from hubline.preprocessing.kinds.image import ImageFeature
    from hubline.preprocessing.kinds.kind import Values
    from hubline.trainer.config.losses import AnyLoss
    from hubline.trainer.inputs import Tensors

LABEL, SCORE, CLASSES, SCORES = "label", "score", "classes", "scores"
"""Outputs of a classification model: the class that the model
decides on, by default the one with the highest score (string [batch]), its probability (float32 [batch]), and the name
(string [batch, classes]) and probability (float32 [batch, classes]) of every class."""

CHOSEN = "chosen"
"""Output of a multilabel model besides `CLASSES` and `SCORES`: which classes are predicted (bool [batch, classes]). The
scores are independent probabilities, one for each class."""

BOX = "box"
"""Output of a class-and-box model besides `LABEL`, `SCORE`, `CLASSES` and `SCORES`: top, left, bottom and right as
fractions of the original image's height and width (float32 [batch, 4])."""

MASK, COVERS = "mask", "covers"
"""Outputs of a segmentation model besides `CLASSES`: the class index of each pixel (uint8 [batch, height, width], in
the image feature's size), and the part of the original image that the mask covers: top, left, bottom and right as
fractions of its height and width, below 0 and above 1 in padding (float32 [batch, 4])."""

VALUE = "value"
"""Output of a regression model: the number in the label's unit (float64 [batch]; if the mean is far from 0, float32
would lose the model's contribution)."""


class Task(ABC):
    """The learning task of a label. The raw outputs of a model are float32 [batch, outputs], or [batch, height, width,
    outputs] for segmentation."""

    outputs: int
    """Number of outputs per record, or per pixel."""
    class_names: tuple[str, ...] = ()
    """Class names by index; none for a number."""

    @property
    def centre(self) -> float:
        """A typical value of a number, in the label's unit."""
        return 0.0

    def target(self, label: Values) -> tf.Tensor:
        """Converts the transformed label to the target of `loss` and `comparable`. Default: unchanged."""
        return label

    @abstractmethod
    def loss(self, config: AnyLoss | None = None) -> tf.keras.losses.Loss:
        """The loss between target and raw outputs. `config` is one of the label's `losses`; None for its default."""

    def loss_target(self, target: tf.Tensor) -> tf.Tensor:
        """Target as a loss of the user's own gets it. Default: unchanged."""
        return target

    def loss_target_spec(self, outputs: tf.TensorShape) -> tf.TensorSpec:
        """Shape and dtype of `loss_target`, from the shape of the raw outputs. Default: float32 of the same shape."""
        return tf.TensorSpec(outputs, tf.float32)

    @abstractmethod
    def comparable(self, target: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Target and raw outputs in the format in which `LabelTraining.keras_metric` compares them."""

    def decided(self, compared: Iterable[tuple[tf.Tensor, tf.Tensor]]) -> tuple[Task, str | None]:
        """The task with decisions that suit the validation split, and a sentence about them. Default: unchanged.

        Args:
            compared: Targets and raw outputs of the trained model, in batches, which are computed when they are read.
        """
        return self, None

    def mixable(self) -> Task:
        """The same task with targets that mixup can mix, float32 [batch] or [batch, n]; metrics use the class with the
        larger share."""
        return self

    @abstractmethod
    def answer(self, outputs: tf.Tensor) -> Tensors:
        """Outputs of the exported model, by name, from raw outputs."""

    def on_device(self, outputs: tf.Tensor) -> Tensors:
        """Outputs of a TFLite model, by name, from raw outputs: those of `answer` that are neither strings nor float64,
        which TFLite's operations don't support."""
        absent = (tf.string, tf.float64)
        return {name: values for name, values in self.answer(outputs).items() if values.dtype not in absent}

    def placed(self, answer: Tensors, features: Mapping[str, ImageFeature], encoded: Tensors) -> Tensors:
        """Maps coordinates in an answer from the model's input images back to the original images.

        Args:
            answer: As `answer` returns.
            features: How images are resized, by feature.
            encoded: The encoded images, string [batch], by feature.
        """
        return answer
