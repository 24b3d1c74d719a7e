"""The types of `model` in the pipeline file."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from hubline.core.config_base import Section
from hubline.trainer.config.names import FeatureName, ModuleName


class Head(Section):
    """The layers between what hub modules and backbones give and the predictions."""

    hidden: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = Field(default=(), examples=[[128]])
    """Units of each hidden layer (ReLU), first to last."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """The share of units dropped before each dense layer in training; of a label of pixels, of channels before each
    step."""
    standardize: bool = True
    """Whether the output of a hub module is standardized with the mean and standard deviation of the training split
    before the head sees it. The exported model holds these numbers."""
    channels: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] = Field(default=(), examples=[[128, 64, 32]])
    """Of a label of pixels, the channels of each step that doubles height and width, from the smallest feature map to
    the picture's size. Where this is absent, the last has 32, and each one before it twice as many, up to 256."""


def _pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"'{pattern}' is not a regular expression: {error}") from None
    return pattern


class Tuned(Section):
    """Which of a module's variables are trained."""

    variables: tuple[Annotated[str, Field(min_length=1), AfterValidator(_pattern)], ...] | None = Field(
        default=None, examples=[["block4", r"bn\d+/gamma"]]
    )
    """Regular expressions: what has one of them in its name is trained, and nothing else of the module changes. Without
    these and `last`, all that can be trained is, and moving averages are kept up."""
    last: int | None = Field(default=None, ge=1, le=1_000_000, examples=[3])
    """In place of `variables`, how many layers are trained, from the last: variables with a common prefix, up to the
    last `/` in their names, are one layer."""

    @model_validator(mode="after")
    def _one_way(self) -> "Tuned":
        if self.variables is not None and self.last is not None:
            raise ValueError("`variables` names what is trained, or `last` counts it; give one of them")
        if self.variables == ():
            raise ValueError("`variables` names nothing; leave it out to train all, or the module out to train none")
        return self

    @property
    def is_partial(self) -> bool:
        """Whether something of the module stays as it is."""
        return self.variables is not None or self.last is not None

    def matches_none(self, names: Iterable[str]) -> list[str]:
        """The expressions that are found in none of some names."""
        names = list(names)
        return [pattern for pattern in self.variables or () if not any(re.search(pattern, name) for name in names)]

    @staticmethod
    def layers(names: Iterable[str]) -> dict[str, list[str]]:
        """Names by their prefix, in their order; a name without a prefix is a layer of its own."""
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(name.rpartition("/")[0] or name, []).append(name)
        return found

    def chosen(self, names: Sequence[str]) -> tuple[str, ...]:
        """Of the names of variables that can be trained, those that are."""
        if self.variables is not None:
            return tuple(name for name in names if any(re.search(pattern, name) for pattern in self.variables))
        layers = list(self.layers(names).values())
        return tuple(name for layer in layers[-(self.last or len(layers)) :] for name in layer)


class FineTune(Tuned):
    """How a module is trained further, after the head alone has been."""

    after_epochs: int = Field(default=1, ge=0, le=1_000_000)
    """Epochs in which the module stays as it is, before it is trained with the head."""
    learning_rate: float = Field(default=1e-5, gt=0.0)
    """The size of a step for the module's variables; the head keeps the rate of `training.optimizer`."""


class Model(Section):
    """What stands on the features, hub modules and backbones: a deep part, a wide part, or both."""

    head: Head = Head()
    """The layers between the deep part and the predictions. The deep part is what hub modules and backbones give, and
    every feature that is not in the wide part, side by side."""
    wide: tuple[FeatureName, ...] = Field(default=(), examples=[["area_by_hour"]])
    """The features of categories that go straight to the predictions, by a weight for each category, as in a linear
    model: crosses above all."""
    fine_tune: dict[ModuleName, FineTune] = Field(default={}, examples=[{"photos": {"after_epochs": 2}}])
    """By hub module or backbone, how it is trained further. A module that is absent here stays as it is; a backbone is
    as its `trainable` says."""

    def tuned(self, name: str) -> Tuned | None:
        """What of a hub module or backbone is trained, if anything, without how."""
        tune = self.fine_tune.get(name)
        return Tuned(variables=tune.variables, last=tune.last) if tune else None

    @field_validator("wide")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({name for name in value if value.count(name) > 1})
        if repeated:
            raise ValueError(f"each feature is named once; repeated: {', '.join(repeated)}")
        return value
