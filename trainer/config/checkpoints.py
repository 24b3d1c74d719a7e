"""Types of `training.checkpoints`."""

from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from hubline.core.config_base import Section
from hubline.trainer.config.length import Epochs, Examples, Share, Steps, bare_steps


class Minutes(Section):
    """A time."""

    minutes: float = Field(gt=0.0, le=1_000_000)
    """Minutes of training."""


AnyInterval: TypeAlias = Steps | Epochs | Examples | Share | Minutes
Interval = Annotated[
    AnyInterval,
    BeforeValidator(
        bare_steps, json_schema_input_type=Annotated[int, Field(ge=1)] | Steps | Epochs | Examples | Share | Minutes
    ),
]
"""A length, or a time: a number of steps, `{steps: 500}`, `{epochs: 2}`, `{examples: 10000}`, `{share: 0.1}` or
`{minutes: 10}`."""


class Checkpoints(Section):
    """When checkpoints are saved, and how many are kept."""

    every: Interval | None = Field(default=None, examples=[500, {"minutes": 10}, {"epochs": 1}])
    """Interval between checkpoints, counted over the whole training; on cached vectors, 32 steps are one unit. Default:
    a checkpoint after each epoch, though not within ten seconds of the one before, and every ten minutes within an
    epoch."""
    max_to_keep: int | None = Field(default=None, ge=1, le=1000, examples=[3])
    """Number of checkpoints to keep after the training, newest first, in the folder `checkpoints` of the Trainer's
    `model_run`. Default: none; while training, the newest two are kept."""
