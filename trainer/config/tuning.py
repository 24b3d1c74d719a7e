"""Types of the `tune` section: values of `model` and `training` to search, and how to search them."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from hubline.core.config_base import Section
from hubline.core.config_errors import Location, raise_placed
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import EarlyStopping, Training
from hubline.trainer.metric_names import Monitor, metric_of

SECTIONS = ("model", "training")
"""Sections whose values can be tuned. Only the Trainer reads most of their values."""

_OF_MACHINES = ("workers",)
"""Keys of `training` that change no model."""

Value: TypeAlias = Annotated[JsonValue, WithJsonSchema({})]
"""Any value that YAML and JSON have in common."""

Points: TypeAlias = Iterator[tuple[Location, JsonValue]]
"""Values of a range, each with its location in the range."""


def _ascending(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] >= bounds[1]:
        raise ValueError(f"the first number must be less than the second; got [{bounds[0]:g}, {bounds[1]:g}]")
    return bounds


def _has_two_values(values: tuple[JsonValue, ...]) -> tuple[JsonValue, ...]:
    texts = [json.dumps(value) for value in values]
    if len(set(texts)) < len(texts):
        raise ValueError(f"{next(text for text in texts if texts.count(text) > 1)} is listed twice")
    return values


class Choice(Section):
    """One of several values."""

    choice: Annotated[tuple[Value, ...], Field(min_length=2), AfterValidator(_has_two_values)] = Field(
        examples=[[[64], [256]]]
    )
    """The values, each as it would stand in the file."""

    def points(self) -> Points:
        """All values."""
        yield from ((("choice", index), value) for index, value in enumerate(self.choice))


def _points(key: str, bounds: tuple[float, float]) -> Points:
    low, high = bounds
    yield (key, 0), low
    yield (key, 1), high
    # A key that takes integers would accept whole numbers; this one isn't whole.
    inside = low + (high - low) / math.e
    yield (key,), inside if not inside.is_integer() else low + (high - low) / math.pi


class Uniform(Section):
    """A number between two numbers."""

    uniform: Annotated[tuple[float, float], AfterValidator(_ascending)] = Field(examples=[[0.0, 0.5]])
    """Lowest and highest number; all numbers between them are equally likely."""

    def points(self) -> Points:
        """Both ends, and a number between them that is not whole."""
        return _points("uniform", self.uniform)


class Log(Section):
    """A positive number between two numbers, on a logarithmic scale."""

    log: Annotated[
        tuple[Annotated[float, Field(gt=0.0)], Annotated[float, Field(gt=0.0)]], AfterValidator(_ascending)
    ] = Field(examples=[[1.0e-5, 1.0e-2]])
    """Lowest and highest number; all orders of magnitude between them are equally likely."""

    def points(self) -> Points:
        """Both ends, and a number between them that is not whole."""
        return _points("log", self.log)


class Integers(Section):
    """An integer between two integers."""

    bounds: Annotated[tuple[int, int], AfterValidator(_ascending)] = Field(alias="int", examples=[[16, 256]])
    """Lowest and highest integer."""
    step: int | None = Field(default=None, ge=1, examples=[16])
    """Distance between neighbouring values; with `sampling: log`, their ratio. Default: every integer of the range."""
    sampling: Literal["linear", "log"] = "linear"
    """`log`: all orders of magnitude are equally likely, as for a batch size."""

    @field_validator("sampling")
    @classmethod
    def _can_be_sampled(cls, sampling: str, info: ValidationInfo) -> str:
        low, _ = info.data.get("bounds", (1, 1))
        if sampling == "log" and (low < 1 or info.data.get("step") == 1):
            raise ValueError("log needs a lowest integer of at least 1, and a step of at least 2 if there is one")
        return sampling

    def points(self) -> Points:
        """Both ends, and the integer after the lowest: what divides all three divides every integer of the range."""
        yield from ((("int", index), value) for index, value in enumerate(self.bounds))
        low, high = self.bounds
        step = self.step or 1
        following = low * step if self.sampling == "log" and self.step else low + step
        if following < high:
            yield ("int",), following


AnyRange: TypeAlias = Choice | Uniform | Log | Integers
_KINDS = ("choice", "log", "uniform", "int")


def _in_one_form(value: Any) -> Any:
    if isinstance(value, Section) or (isinstance(value, Mapping) and sum(kind in value for kind in _KINDS) == 1):
        return value
    raise ValueError(
        "must be one of {choice: [a, b]}, {log: [low, high]}, {uniform: [low, high]} and {int: [low, high]}; "
        f"got {value!r}"
    )


Range = Annotated[AnyRange, BeforeValidator(_in_one_form, json_schema_input_type=AnyRange)]
"""The values that a key may take."""


class Tune(Section):
    """Searches for good values of `model` and `training` before the model is trained. Keys other than the settings
    below are keys of the file, such as `training.optimizer.learning_rate`, with the values to try."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Range]

    trials: int = Field(default=30, ge=1, le=10_000)
    """Number of trials at most; each trains a model with other values. `grid` ends earlier if all combinations have
    been tried, and `hyperband` once its brackets are done."""
    objective: Monitor = Field(default="val_loss", examples=["val_accuracy"])
    """Metric of the validation split to optimize: `val_loss`, or `val_` and a metric of the label. It is that of the
    epoch that the Trainer would export."""
    search: Literal["bayesian", "random", "hyperband", "grid"] = "bayesian"
    """How values are chosen, by KerasTuner: `bayesian` learns from the trials so far with a Gaussian process, `random`
    draws them independently, `hyperband` trains many for a few epochs and continues with the best, and `grid` tries
    all combinations (10 values of each range without a step)."""
    prune: Literal["median"] | Literal[False] = "median"
    """Whether to stop a trial early if its best value so far is worse than the median of earlier trials at the same
    epoch; `false` trains every trial to its end. `hyperband` stops trials in its own way."""
    parallel: int = Field(default=1, ge=1, le=256)
    """Number of trials that run at once on the machine, each in a process of its own with its own copy of the data. The
    search learns from all of them together, so more of them make it less informed."""
    seed: int = Field(default=0, ge=0, le=2**31)
    """Seed of the search. Each trial is trained with `training.seed`, as the final model is."""

    @model_validator(mode="before")
    @classmethod
    def _names_values(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        names = [str(name) for name in values if name not in cls.model_fields]
        raise_placed("Tune", [((name,), fault) for name in names if (fault := _fault(name, cls.model_fields))])
        if not names:
            raise ValueError(
                "names no value to tune; add one, such as training.optimizer.learning_rate: {log: [1.0e-5, 1.0e-2]}"
            )
        return values

    @property
    def ranges(self) -> dict[str, AnyRange]:
        """The values to try, by key of the file."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def metric(self) -> str | None:
        """The metric of the objective; None for the loss."""
        return metric_of(self.objective)

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether a lower or a higher objective is better."""
        return EarlyStopping(monitor=self.objective).mode


def _fault(name: str, settings: Mapping[str, Any]) -> str | None:
    section, _, key = name.partition(".")
    if section == "training" and key.partition(".")[0] in _OF_MACHINES:
        return "says where to train, which all trials have in common"
    if section in SECTIONS and all(name.split(".")) and key:
        return None
    if section in SECTIONS:
        return f"name a single value in `{section}`, such as training.optimizer.learning_rate"
    if "." in name:
        return (
            "only values of `model` and `training` can be tuned: any other would change the steps before the Trainer, "
            "whose results all trials share"
        )
    return f"unknown key; known here: {', '.join(settings)}, and keys such as training.optimizer.learning_rate"


class NoKeysError(ValueError):
    """A key leads through a value that has no keys; `key` is that of the tuned value."""

    def __init__(self, key: str, through: str, value: Any) -> None:
        super().__init__(f"{through} is {value!r}, which has no keys; write it as a mapping")
        self.key = key


def with_values(model: Model, training: Training, values: Mapping[str, JsonValue]) -> tuple[Model, Training]:
    """The sections `model` and `training` with the values of a trial, by their keys in the file.

    Raises:
        ValueError: if the result is not valid.
    """
    sections = {"model": json.loads(model.to_property()), "training": json.loads(training.to_property())}
    insert(sections, values)
    return Model.model_validate(sections["model"]), Training.model_validate(sections["training"])


def insert(sections: dict[str, Any], values: Mapping[str, JsonValue]) -> None:
    """Sets values in sections of a file by their dotted keys, a section before the values inside it.

    Raises:
        NoKeysError: if a key leads through a value that has no keys.
    """
    for name in sorted(values, key=lambda name: name.count(".")):
        *path, last = name.split(".")
        place = sections
        for depth, step in enumerate(path, 1):
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                raise NoKeysError(name, ".".join(path[:depth]), place)
        place[last] = json.loads(json.dumps(values[name]))  # a copy, which other trials don't share


def nested(values: Mapping[str, JsonValue]) -> dict[str, Any]:
    """Values by dotted keys, in the form of the file."""
    sections: dict[str, Any] = {}
    insert(sections, values)
    return sections
