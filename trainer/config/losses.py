"""Types of `training.loss`."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from hubline.core.config_base import Section
from hubline.trainer.config.user_function import UserFunction


class CrossEntropy(Section):
    """Cross-entropy of the class; for `multilabel`, binary cross-entropy averaged over the classes."""

    kind: Literal["cross_entropy"]
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0, examples=[0.1])
    """Share of the target that is spread evenly over all classes; for `multilabel`, over yes and no of each class."""


class Focal(Section):
    """Focal loss (Lin et al., Focal Loss for Dense Object Detection, 2017): cross-entropy times
    `alpha * (1 - p) ^ gamma`, where p is the probability of the true class."""

    kind: Literal["focal"]
    gamma: float = Field(default=2.0, ge=0.0)
    """How much examples that are predicted well are weighed down; 0 is cross-entropy."""
    alpha: float = Field(default=1.0, gt=0.0)
    """Factor of the whole loss."""
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0, examples=[0.1])
    """As in cross-entropy."""


class MeanSquaredError(Section):
    """Mean of the squared errors of the normalized numbers."""

    kind: Literal["mse"]


class MeanAbsoluteError(Section):
    """Mean of the absolute errors of the normalized numbers."""

    kind: Literal["mae"]


class Huber(Section):
    """Squared for errors of at most `delta`, and linear beyond."""

    kind: Literal["huber"]
    delta: float = Field(default=1.0, gt=0.0)
    """Normalized error at which the loss becomes linear."""


class Asymmetric(Section):
    """Over- and under-prediction cost differently: `over * e ^ power` if the prediction is too high by e, and
    `under * e ^ power` if it is too low by e. With power 1, this is the quantile loss of under / (over + under)."""

    kind: Literal["asymmetric"]
    over: float = Field(gt=0.0, examples=[1.0])
    """Cost of predicting too much."""
    under: float = Field(gt=0.0, examples=[3.0])
    """Cost of predicting too little."""
    power: Literal[1, 2] = 1
    """Whether the cost grows with the error or with its square."""

    @model_validator(mode="after")
    def _differs(self) -> "Asymmetric":
        if self.over == self.under:
            other = "mae" if self.power == 1 else "mse"
            raise ValueError(f"over and under are equal, so the loss is symmetric; use {other}, or set different costs")
        return self


class CustomLoss(UserFunction):
    """A loss of your own: a function `(y_true, y_pred, **arguments)` that returns one value per example, [batch] or
    [batch, ...], as Keras's do. `y_pred` are raw outputs, so of classes the logits. `y_true` has the same shape: of
    `class` and `binary` the one-hot class, of `multilabel` 0 or 1 per class, of `regression` the normalized number. Of
    `class_and_box`, `y_true` is the class index and the box, and `y_pred` the logits and four numbers; of `pixels`, it
    is the mask, uint8 [batch, height, width, 1], with 255 for ignored pixels."""

    kind: Literal["custom"]


def _by_name(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


AnyLoss: TypeAlias = CrossEntropy | Focal | MeanSquaredError | MeanAbsoluteError | Huber | Asymmetric | CustomLoss
_Name = Literal["cross_entropy", "focal", "mse", "mae", "huber"]
Loss = Annotated[
    Annotated[AnyLoss, Field(discriminator="kind")],
    BeforeValidator(_by_name, json_schema_input_type=_Name | Annotated[AnyLoss, Field(discriminator="kind")]),
]
"""A loss, by name or with its settings."""
