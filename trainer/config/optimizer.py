"""Types of `training.optimizer`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from hubline.core.config_base import Section
from hubline.trainer.config.schedules import LearningRate

_MOMENTS = ("beta_1", "beta_2")
_OPTIONS: dict[str, tuple[str, ...]] = {
    "adadelta": ("rho", "epsilon"),
    "adagrad": ("initial_accumulator_value", "epsilon"),
    "adam": (*_MOMENTS, "epsilon", "amsgrad"),
    "adamax": (*_MOMENTS, "epsilon"),
    "adamw": (*_MOMENTS, "epsilon", "amsgrad"),
    "lion": _MOMENTS,
    "nadam": (*_MOMENTS, "epsilon"),
    "rmsprop": ("rho", "momentum", "epsilon", "centered"),
    "sgd": ("momentum", "nesterov"),
}
"""Options of each optimizer besides the learning rate, `weight_decay` and clipping."""


def _off(value: Any) -> Any:
    """Reads null as false, because step properties leave out null values."""
    return False if value is None else value


def _lower(value: Any) -> Any:
    """Accepts the names of Keras' classes, such as AdamW."""
    return value.lower() if isinstance(value, str) else value


_Positive = Annotated[float, Field(gt=0.0)]
_Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class Optimizer(Section):
    """The optimizer and its settings. Options that are left out have Keras' defaults."""

    name: Annotated[
        Literal["adadelta", "adagrad", "adam", "adamax", "adamw", "lion", "nadam", "rmsprop", "sgd"],
        BeforeValidator(_lower),
    ] = "adam"
    """The Keras optimizer."""
    learning_rate: LearningRate = Field(
        default=1e-3,
        examples=[
            1e-3,
            {"kind": "cosine_decay", "warmup_target": 1e-3, "warmup_steps": {"share": 0.1}},
        ],
    )
    """A constant learning rate, or a schedule."""
    momentum: _Fraction | None = None
    """Momentum; `sgd` and `rmsprop` only."""
    nesterov: bool | None = None
    """Whether the momentum is Nesterov's; `sgd` with `momentum` only."""
    beta_1: _Fraction | None = None
    """Decay rate of the first moment; `adam`, `adamw`, `adamax`, `nadam` and `lion` only."""
    beta_2: _Fraction | None = None
    """Decay rate of the second moment; `adam`, `adamw`, `adamax`, `nadam` and `lion` only."""
    rho: _Fraction | None = None
    """Decay rate of the squared gradients; `rmsprop` and `adadelta` only."""
    epsilon: _Positive | None = None
    """Small number that avoids division by zero; not for `sgd` and `lion`."""
    amsgrad: bool | None = None
    """Whether to use AMSGrad; `adam` and `adamw` only."""
    centered: bool | None = None
    """Whether gradients are normalized by their variance rather than their second moment; `rmsprop` only."""
    initial_accumulator_value: Annotated[float, Field(ge=0.0)] | None = None
    """First value of the squared gradients; `adagrad` only."""
    weight_decay: _Positive | None = None
    """Decoupled weight decay of every variable that the optimizer trains: a step subtracts this times the learning rate
    times the variable. Default: 0.004 for `adamw`, none for the others."""
    global_clipnorm: Annotated[
        _Positive | Literal[False],
        BeforeValidator(_off, json_schema_input_type=_Positive | Literal[False] | None),
    ] = 1.0
    """Scales the gradients of a step down if their global norm exceeds this value; null or false turns clipping off.
    The variables of a module with its own learning rate are clipped by their own norm."""
    clipnorm: _Positive | None = None
    """Instead of `global_clipnorm`: scales the gradient of each variable down if its norm exceeds this value."""
    clipvalue: _Positive | None = None
    """Instead of `global_clipnorm`: clips each number of the gradients to at most this absolute value."""

    @model_validator(mode="after")
    def _has_its_options(self) -> "Optimizer":
        own = _OPTIONS[self.name]
        wrong = [option for option in self.options if option not in own]
        if wrong:
            others = " or ".join(name for name, options in _OPTIONS.items() if wrong[0] in options)
            raise ValueError(f"{self.name} has no {wrong[0]}; remove it, or use {others}")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov requires a momentum above 0; set one, or remove nesterov")
        return self

    @model_validator(mode="after")
    def _clips_in_one_way(self) -> "Optimizer":
        said = [key for key in ("clipnorm", "clipvalue") if getattr(self, key) is not None]
        said += ["global_clipnorm"] if self.global_clipnorm and "global_clipnorm" in self.model_fields_set else []
        if len(said) > 1:
            raise ValueError(f"Keras clips gradients in one way; set only one of {' and '.join(said)}")
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The options of the optimizer's own that are set."""
        names = sorted({option for options in _OPTIONS.values() for option in options})
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def clipping(self) -> dict[str, float]:
        """Keras' arguments for clipping."""
        for name in ("clipnorm", "clipvalue"):
            if (value := getattr(self, name)) is not None:
                return {name: value}
        return {"global_clipnorm": self.global_clipnorm} if self.global_clipnorm else {}
