"""Types of the `model` section."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from hubline.core.config_base import Section
from hubline.trainer.config.names import FeatureName, ModuleName
from hubline.trainer.config.patterns import Pattern
from hubline.trainer.config.schedules import LearningRate

Initializer = Literal[
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "orthogonal",
    "random_normal", "random_uniform", "truncated_normal", "zeros",
]  # fmt: skip


class Head(Section):
    """Layers between the outputs of hub modules and backbones and the predictions."""

    hidden: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = Field(default=(), examples=[[128]])
    """Number of units in each hidden layer, first to last (ReLU)."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout rate before each dense layer; for a `pixels` label, fraction of channels dropped before each upsampling
    step."""
    initializer: Initializer | None = Field(default=None, examples=["he_normal"])
    """Keras initializer of the weights of all layers. Default: `glorot_uniform`, scaled down by ten for the last
    layer."""
    standardize: bool = True
    """Whether to standardize the output of hub modules with the mean and standard deviation of the training split
    before the head. The exported model contains both."""
    channels: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(default=(), examples=[[128, 64, 32]])
    """For a `pixels` label: number of channels of each upsampling step, from the smallest feature map to the image's
    size. Each step doubles height and width. Default: the last step has 32 channels, each earlier step twice as many as
    the next, up to 256."""


class VariableSelection(Section):
    """Selects the variables of a module to train."""

    variables: tuple[Pattern, ...] | None = Field(default=None, examples=[["block4", r"bn\d+/gamma"]])
    """Regular expressions. Variables whose name matches any of them are trained; the rest of the module stays
    unchanged. Without `variables` and `last`, all trainable variables are trained and moving averages are updated."""
    last: int | None = Field(default=None, ge=1, le=1_000_000, examples=[3])
    """In place of `variables`: number of layers to train, counted from the last. Variables whose names share the prefix
    before the last `/` form a layer."""
    training_mode: bool | None = None
    """Whether the module runs in training mode while it is trained: with dropout, and with batch normalization that
    uses the statistics of the batch and updates its moving averages. Default: true if all variables are trained, or if
    a TF1 module has a graph for training; false otherwise."""

    @model_validator(mode="after")
    def _one_way(self) -> "VariableSelection":
        if self.variables is not None and self.last is not None:
            raise ValueError("set only one of `variables` and `last`")
        if self.variables == ():
            raise ValueError(
                "`variables` is empty; remove it to train all variables, or remove the module to train none"
            )
        return self

    @property
    def is_partial(self) -> bool:
        """Whether some variables of the module stay unchanged."""
        return self.variables is not None or self.last is not None

    @property
    def uses_training_mode(self) -> bool:
        """Whether a module that has a training mode runs in it. TF1 modules have a default of their own."""
        # In training mode, a module would change the moving averages of its fixed part too.
        return not self.is_partial if self.training_mode is None else self.training_mode

    def matches_none(self, names: Iterable[str]) -> list[str]:
        """The expressions that match none of the names."""
        names = list(names)
        return [pattern for pattern in self.variables or () if not any(re.search(pattern, name) for name in names)]

    @staticmethod
    def layers(names: Iterable[str]) -> dict[str, list[str]]:
        """Groups names by prefix, in order of appearance. A name without a prefix is a layer of its own."""
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(name.rpartition("/")[0] or name, []).append(name)
        return found

    def chosen(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names of variables to train, out of those of all trainable variables."""
        if self.variables is not None:
            return tuple(name for name in names if any(re.search(pattern, name) for pattern in self.variables))
        layers = list(self.layers(names).values())
        return tuple(name for layer in layers[-(self.last or len(layers)) :] for name in layer)


class FineTune(VariableSelection):
    """How a module is fine-tuned after the head has been trained alone."""

    after_epochs: int = Field(default=1, ge=0, le=1_000_000)
    """Epochs in which only the head is trained, before the module is trained with it."""
    learning_rate: LearningRate = 1e-5
    """Learning rate of the module's variables, constant or a schedule whose steps are counted from the first step of
    fine-tuning. The head keeps the rate of `training.optimizer`."""


class Model(Section):
    """Layers on top of features, hub modules and backbones: a deep part, a wide part, or both."""

    head: Head = Head()
    """Layers of the deep part. Its input is the concatenation of all outputs of hub modules and backbones and of every
    feature that is not in `wide`."""
    wide: tuple[FeatureName, ...] = Field(default=(), examples=[["area_by_hour"]])
    """Categorical features that go straight to the predictions with one weight per category, as in a linear model.
    Crosses are typical."""
    fine_tune: dict[ModuleName, FineTune] = Field(default={}, examples=[{"photos": {"after_epochs": 2}}])
    """Fine-tuning by hub module or backbone. A hub module that is not listed stays frozen; a backbone that is not
    listed follows its `trainable`."""

    def tuned(self, name: str) -> VariableSelection | None:
        """The variables of a hub module or backbone to train, without the schedule. None if it is not fine-tuned."""
        tune = self.fine_tune.get(name)
        return (
            VariableSelection.model_validate(tune.model_dump(include=set(VariableSelection.model_fields)))
            if tune
            else None
        )

    @field_validator("wide")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({name for name in value if value.count(name) > 1})
        if repeated:
            raise ValueError(f"features must be distinct; repeated: {', '.join(repeated)}")
        return value
