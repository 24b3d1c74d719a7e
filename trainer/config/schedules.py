"""Types of learning rate schedules: those of Keras, by Keras' names in snake case."""

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, model_validator

from hubline.core.config_base import Section
from hubline.trainer.config.length import AnyLength, Length

_Rate = Annotated[float, Field(gt=0.0)]


class _Schedule(Section):
    """Base of all schedules. Steps are counted from the start of training, or of fine-tuning, over all phases."""

    def lengths(self) -> Iterator[tuple[str, AnyLength]]:
        """Lengths that must lie within the training, each with its key. Otherwise, part of the schedule would never
        happen."""
        yield from ()


class ExponentialDecay(_Schedule):
    """The rate after `step` steps is `initial_learning_rate * decay_rate ^ (step / decay_steps)`."""

    kind: Literal["exponential_decay"]
    initial_learning_rate: _Rate
    """Learning rate of the first step."""
    decay_steps: Length = Field(examples=[1000, {"epochs": 1}])
    """Length after which the rate has been multiplied by `decay_rate`."""
    decay_rate: float = Field(gt=0.0, le=1.0, examples=[0.96])
    """Factor of the decay."""
    staircase: bool = False
    """Whether the exponent is rounded down, so that the rate falls at discrete steps."""

    def lengths(self) -> Iterator[tuple[str, AnyLength]]:
        if self.staircase:
            yield "decay_steps", self.decay_steps


class InverseTimeDecay(_Schedule):
    """The rate after `step` steps is `initial_learning_rate / (1 + decay_rate * step / decay_steps)`."""

    kind: Literal["inverse_time_decay"]
    initial_learning_rate: _Rate
    """Learning rate of the first step."""
    decay_steps: Length = Field(examples=[1000, {"epochs": 1}])
    """Length that counts as 1 in the formula."""
    decay_rate: float = Field(gt=0.0, examples=[0.5])
    """How fast the rate falls."""
    staircase: bool = False
    """Whether `step / decay_steps` is rounded down, so that the rate falls at discrete steps."""

    def lengths(self) -> Iterator[tuple[str, AnyLength]]:
        if self.staircase:
            yield "decay_steps", self.decay_steps


class PolynomialDecay(_Schedule):
    """The rate falls from `initial_learning_rate` to `end_learning_rate` along `(1 - step / decay_steps) ^ power`."""

    kind: Literal["polynomial_decay"]
    initial_learning_rate: _Rate
    """Learning rate of the first step."""
    decay_steps: Length | None = Field(default=None, examples=[10000, {"epochs": 8}])
    """Length of the decay. Default: the whole training."""
    end_learning_rate: float = Field(default=1e-4, ge=0.0)
    """Learning rate at the end of the decay and after it."""
    power: float = Field(default=1.0, gt=0.0)
    """Exponent; 1 is linear."""

    def lengths(self) -> Iterator[tuple[str, AnyLength]]:
        if self.decay_steps is not None:
            yield "decay_steps", self.decay_steps


class CosineDecay(_Schedule):
    """The rate rises linearly to `warmup_target` during `warmup_steps`, and then falls along half a cosine to `alpha`
    times that rate. Without a warm-up, it falls from `initial_learning_rate`."""

    kind: Literal["cosine_decay"]
    initial_learning_rate: float = Field(default=0.0, ge=0.0)
    """Learning rate of the first step."""
    warmup_target: _Rate | None = Field(default=None, examples=[1e-3])
    """Learning rate at the end of the warm-up."""
    warmup_steps: Length | None = Field(default=None, examples=[500, {"share": 0.1}])
    """Length of the warm-up."""
    decay_steps: Length | None = Field(default=None, examples=[10000, {"epochs": 8}])
    """Length of the decay, after the warm-up. Default: the rest of the training."""
    alpha: float = Field(default=0.0, ge=0.0, le=1.0)
    """Final rate as a fraction of the highest."""

    @model_validator(mode="after")
    def _begins_somewhere(self) -> "CosineDecay":
        if (self.warmup_target is None) != (self.warmup_steps is None):
            raise ValueError("a warm-up has both warmup_target and warmup_steps; set both or neither")
        if self.warmup_target is None and self.initial_learning_rate == 0:
            raise ValueError("without a warm-up, set initial_learning_rate above 0")
        if self.warmup_target is not None and self.warmup_target <= self.initial_learning_rate:
            raise ValueError(
                f"the rate rises during the warm-up; set warmup_target above initial_learning_rate "
                f"({self.initial_learning_rate:g})"
            )
        return self

    def lengths(self) -> Iterator[tuple[str, AnyLength]]:
        for key, length in (("warmup_steps", self.warmup_steps), ("decay_steps", self.decay_steps)):
            if length is not None:
                yield key, length


class PiecewiseConstantDecay(_Schedule):
    """The rate is constant between boundaries."""

    kind: Literal["piecewise_constant_decay"]
    boundaries: tuple[Length, ...] = Field(min_length=1, examples=[[1000, 5000], [{"epochs": 3}]])
    """Last step of each piece except the last, in ascending order and in one unit."""
    values: tuple[_Rate, ...] = Field(min_length=2, examples=[[1e-3, 1e-4, 1e-5]])
    """Learning rate of each piece: one more than there are boundaries."""

    @model_validator(mode="after")
    def _has_a_value_for_each_piece(self) -> "PiecewiseConstantDecay":
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"{len(self.boundaries)} boundaries make {len(self.boundaries) + 1} pieces, and there are "
                f"{len(self.values)} values; set one value for each piece"
            )
        if len({type(boundary) for boundary in self.boundaries}) > 1:
            raise ValueError("boundaries must all be in the same unit: steps, epochs, examples or shares")
        numbers = [next(iter(boundary.model_dump().values())) for boundary in self.boundaries]
        if numbers != sorted(set(numbers)):
            raise ValueError("boundaries must be in ascending order")
        return self

    def lengths(self) -> Iterator[tuple[str, AnyLength]]:
        yield "boundaries", self.boundaries[-1]


AnySchedule: TypeAlias = ExponentialDecay | InverseTimeDecay | PolynomialDecay | CosineDecay | PiecewiseConstantDecay
Schedule = Annotated[AnySchedule, Field(discriminator="kind")]
"""Any schedule, discriminated by `kind`."""

LearningRate: TypeAlias = _Rate | Schedule
"""A constant rate, or a schedule."""


def highest(rate: LearningRate) -> float:
    """The highest rate of a schedule, or the constant."""
    match rate:
        case CosineDecay(warmup_target=None, initial_learning_rate=first):
            return first
        case CosineDecay(warmup_target=target):
            return target or 0.0
        case PiecewiseConstantDecay(values=values):
            return max(values)
        case ExponentialDecay() | InverseTimeDecay() | PolynomialDecay():
            return rate.initial_learning_rate
    return rate
