"""The types of `training` in the pipeline file."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)

from hubline.core.config_base import Section
from hubline.trainer.config.augmentation import Augment, Augmentation


def _off(value: Any) -> Any:
    """Null as false: a section that is written down for a step leaves out what is null."""
    return False if value is None else value


class Optimizer(Section):
    """How the weights are updated."""

    name: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    """The Keras optimizer."""
    learning_rate: float = Field(default=1e-3, gt=0.0)
    """The size of a step; the same from the first to the last."""
    momentum: float | None = Field(default=None, ge=0.0, lt=1.0)
    """For sgd and rmsprop only."""
    global_clipnorm: Annotated[
        Annotated[float, Field(gt=0.0)] | Literal[False],
        BeforeValidator(_off, json_schema_input_type=Annotated[float, Field(gt=0.0)] | Literal[False] | None),
    ] = 1.0
    """The gradients of a step are scaled down together where their norm exceeds this; null, or false, leaves them as
    they are. The variables of a module with a learning rate of its own have a norm of their own."""

    @model_validator(mode="after")
    def _knows_momentum(self) -> "Optimizer":
        if self.momentum is not None and self.name not in ("sgd", "rmsprop"):
            raise ValueError(f"{self.name} takes no momentum; leave it out, or use sgd or rmsprop")
        return self


TRAINING_METRICS: dict[str, tuple[str, ...]] = {
    "class": ("loss", "accuracy"),
    "binary": ("loss", "accuracy"),
    "multilabel": ("loss", "binary_accuracy", "f1"),
    "regression": ("loss", "rmse", "mae"),
    "class_and_box": ("loss", "accuracy", "mean_iou"),
    "pixels": ("loss", "pixel_accuracy", "mean_iou"),
}
"""What training computes in each epoch, by the kind of the label."""


_LESS_IS_BETTER = ("loss", "rmse", "mae")


class EarlyStopping(Section):
    """Training stops when the validation split shows no improvement. The best epoch is kept."""

    patience: int = Field(default=3, ge=1, le=1_000_000)
    """Epochs without an improvement after which training stops."""
    monitor: str = Field(default="val_loss", pattern=r"^val_[a-z0-9_]+$", examples=["val_accuracy"])
    """The metric of the validation split that is watched: `val_loss`, or `val_` and a metric of the label."""
    min_delta: float = Field(default=0.0, ge=0.0)
    """A smaller change of the metric is no improvement."""

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether a smaller or a greater value is better."""
        return "min" if self.monitor.removeprefix("val_") in _LESS_IS_BETTER else "max"

    def misfit(self, label_kind: str) -> str | None:
        """Why a label of this kind can't be watched so, if it can't."""
        known = [f"val_{name}" for name in TRAINING_METRICS[label_kind]]
        if self.monitor in known:
            return None
        return f"a label of kind {label_kind} has no {self.monitor}; it has {', '.join(known)}"


def _patience(value: Any) -> Any:
    return {"patience": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Training(Section):
    """How the model is trained."""

    epochs: int = Field(ge=1, le=1_000_000, examples=[10])
    """Passes over the training split."""
    batch_size: int = Field(default=32, ge=1, le=1_000_000)
    """Examples per step."""
    optimizer: Optimizer = Optimizer()
    """How the weights are updated."""
    early_stopping: Annotated[
        EarlyStopping | None, BeforeValidator(_patience, json_schema_input_type=int | EarlyStopping | None)
    ] = Field(default=None, examples=[3, {"patience": 5, "monitor": "val_accuracy"}])
    """When training stops before its last epoch; a number alone is the patience. `epochs` is then the most there are.
    Without this, training takes all epochs and keeps the last."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seeds the initial weights, dropout, the order of the examples and their random changes. Each epoch draws anew."""
    augment: tuple[Augment, ...] = Field(default=(), examples=[["flip_left_right", {"brightness": 0.2}]])
    """Random changes of the training images, in this order; evaluation and serving see images as they are."""
    cache_views: int | None = Field(default=None, ge=1, le=1000)
    """With `augment`, how many changed views of each image to keep a module's output of; every epoch draws one of them
    for each example. Where this is absent, a module sees every image changed anew in every epoch, which is slow."""
    materialize: bool | Literal["auto"] = "auto"
    """Whether what is kept of rows without images between epochs is what the transform graph made of them, rather than
    the rows themselves; `auto` tries out which of the two is read faster."""
    shuffle_buffer: int = Field(default=10_000, ge=1, le=1_000_000_000)
    """The most examples, images still encoded, that are held in memory to shuffle among."""
    shuffle_bytes: int = Field(default=256 << 20, ge=1, le=1 << 50)
    """The most bytes that these take; large examples are shuffled among fewer. The order of the examples depends on
    this and not on the memory that happens to be free."""

    @model_validator(mode="after")
    def _views_of_something(self) -> "Training":
        if self.cache_views is not None and not self.augment:
            raise ValueError("cache_views keeps views that `augment` makes; give `augment`, or leave cache_views out")
        return self

    @model_validator(mode="after")
    def _mixed_once_and_as_images(self) -> "Training":
        count = len(self.augment) - len(self.changes)
        if count > 1:
            raise ValueError("`augment` has mixup several times; give it once")
        if count and self.cache_views is not None:
            raise ValueError(
                "mixup mixes images, and cache_views keeps what a module gave for each of them alone; leave one out"
            )
        return self

    @property
    def changes(self) -> tuple[Augmentation, ...]:
        """What of `augment` is done to each image by itself."""
        return tuple(change for change in self.augment if change.mixup is None)

    @property
    def mixup(self) -> float | None:
        """The parameter of mixup, where images are mixed."""
        return next((change.mixup for change in self.augment if change.mixup is not None), None)
