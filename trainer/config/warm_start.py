"""Types of `training.warm_start`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hubline.core.config_base import FilePath, Section
from hubline.trainer.config.patterns import Pattern

SERVING = "serving"

_Name = Annotated[str, Field(min_length=1, max_length=1000)]


class WarmStart(Section):
    """Initial values of the model's variables, from another model."""

    source: Literal["serving"] | FilePath = Field(alias="from", examples=["serving", "checkpoints/model.ckpt-5000"])
    """`serving`: the version that serves when the run begins; if there is none, training begins without a warm start.
    Otherwise a path: the folder of a run, of a SavedModel or of versions, a folder of checkpoints, or a checkpoint
    without the suffix `.index`, in the format of TF1 or TF2."""
    leave_out: tuple[Pattern, ...] = Field(default=(), alias="except", examples=[["head/outputs/"]])
    """Regular expressions. Variables of the model whose name matches any of them keep their own initial values."""
    names: dict[_Name, _Name] = Field(default={}, examples=[{"resnet/": "hub_photos/resnet/"}])
    """Names in the source that differ from those in the model, as source: model. Names that end in `/` stand for all
    variables with this beginning; `/` alone stands for all."""

    @model_validator(mode="after")
    def _scopes_to_scopes(self) -> "WarmStart":
        for old, new in self.names.items():
            if old.endswith("/") != new.endswith("/"):
                raise ValueError(f"names: end both '{old}' and '{new}' in / or neither of them")
        return self
