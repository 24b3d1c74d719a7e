"""Types of the `training.tensorboard` section."""

from typing import Annotated

from pydantic import Field, model_validator

from hubline.core.config_base import Section

_Step = Annotated[int, Field(ge=1, le=1_000_000_000)]


class TensorBoard(Section):
    """What the TensorBoard logs contain besides curves, the model's graph and hyperparameters."""

    images: int = Field(default=8, ge=0, le=1000)
    """Number of training images to log as the model sees them in the first epoch: fitted to the feature's size and
    augmented. The frames of a clip are logged side by side."""
    histograms: bool = False
    """Whether to log histograms of the weights after every epoch."""
    profile: tuple[_Step, _Step] | None = Field(default=None, examples=[[10, 20]])
    """First and last step to profile, counted from 1 over the whole training. TensorBoard shows profiles if the package
    `tensorboard-plugin-profile` is installed beside it."""

    @model_validator(mode="after")
    def _profiles_some_step(self) -> "TensorBoard":
        if self.profile is not None and self.profile[0] > self.profile[1]:
            raise ValueError(f"profile: the first step, {self.profile[0]}, comes after the last, {self.profile[1]}")
        return self
