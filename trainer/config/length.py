"""Lengths of training. `Pace` is the one place that turns epochs, examples and shares into steps."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, Field

from hubline.core.config_base import Section
from hubline.core.errors import DataError

_MOST = 1_000_000_000_000


class Steps(Section):
    """A number of steps."""

    steps: int = Field(ge=1, le=_MOST)
    """Number of batches."""


class Epochs(Section):
    """A number of epochs."""

    epochs: float = Field(gt=0.0, le=1_000_000)
    """Number of passes over the training split; fractions count."""


class Examples(Section):
    """A number of examples."""

    examples: int = Field(ge=1, le=_MOST)
    """Number of training examples; examples of later epochs count again."""


class Share(Section):
    """A share of the whole training."""

    share: float = Field(gt=0.0, le=1.0)
    """Share of the steps of the whole training."""


def bare_steps(value: Any) -> Any:
    """Reads a bare number as a number of steps."""
    return {"steps": value} if isinstance(value, int) and not isinstance(value, bool) else value


AnyLength: TypeAlias = Steps | Epochs | Examples | Share
Length = Annotated[
    AnyLength,
    BeforeValidator(bare_steps, json_schema_input_type=Annotated[int, Field(ge=1)] | Steps | Epochs | Examples | Share),
]
"""A length in one unit: a number of steps, `{steps: 500}`, `{epochs: 2}`, `{examples: 10000}` or `{share: 0.1}`."""


@dataclass(frozen=True)
class Pace:
    """The steps of an epoch and of a whole training."""

    examples: int
    """Training examples per epoch."""
    batch_size: int
    steps: int
    """Steps per epoch. The last one may have fewer examples, unless such a batch is dropped."""
    total: int
    """Steps of the whole training; early stopping may end it sooner."""

    @classmethod
    def of(cls, length: AnyLength, examples: int, batch_size: int, drop_remainder: bool = False) -> "Pace":
        """The pace of a training.

        Args:
            length: The length of the whole training, which is not a share.
            examples: Number of examples of the training split.
            batch_size: Examples per step.
            drop_remainder: Whether a last batch of fewer examples is dropped in each epoch.

        Raises:
            DataError: if no batch is left.
        """
        if drop_remainder:
            if examples < batch_size:
                raise DataError(
                    f"training.drop_remainder leaves no batch: the training split has {examples:,} records, and "
                    f"batch_size is {batch_size:,}; lower batch_size"
                )
            examples -= examples % batch_size
        endless = cls(examples, batch_size, steps=-(-examples // batch_size), total=_MOST)
        return cls(examples, batch_size, endless.steps, total=endless.steps_of(length))

    def after(self, epochs: int) -> "Pace":
        """The pace of what follows the first epochs."""
        return replace(self, total=self.total - epochs * self.steps)

    def steps_of(self, length: AnyLength) -> int:
        """A length in steps, at least 1. A number of examples is rounded up to whole batches."""
        match length:
            case Steps(steps=steps):
                return steps
            case Epochs(epochs=epochs):
                return max(round(epochs * self.steps), 1)
            case Examples(examples=examples):
                epochs, rest = divmod(examples, self.examples)
                return epochs * self.steps + -(-rest // self.batch_size)
            case Share(share=share):
                return max(round(share * self.total), 1)

    @property
    def epochs(self) -> int:
        """Number of epochs, including a last one that is cut short."""
        return -(-self.total // self.steps)

    @property
    def last(self) -> int:
        """Steps of the last epoch."""
        return self.total - (self.epochs - 1) * self.steps


def is_longer(length: AnyLength, whole: AnyLength) -> bool:
    """Whether a length exceeds the whole training, as far as the two can be compared without knowing the data."""
    match length, whole:
        case (Steps(steps=one), Steps(steps=all_)) | (Examples(examples=one), Examples(examples=all_)):
            return one > all_
        case Epochs(epochs=epochs), Epochs(epochs=most):
            return epochs > most
    return False
