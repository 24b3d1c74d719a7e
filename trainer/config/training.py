"""Types of the `training` section."""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)

from hubline.core.config_base import Section
from hubline.core.config_errors import Location, raise_placed
from hubline.trainer.config.augmentation import Augment, Augmentation
from hubline.trainer.config.checkpoints import Checkpoints, Minutes
from hubline.trainer.config.devices import Devices
from hubline.trainer.config.length import AnyLength, Epochs, Examples, Pace, Steps, is_longer
from hubline.trainer.config.losses import Loss
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.tensorboard import TensorBoard
from hubline.trainer.config.warm_start import WarmStart
from hubline.trainer.config.weights import ClassWeights
from hubline.trainer.config.workers import worker_errors
from hubline.trainer.metric_names import Metric, Monitor, lower_is_better, metric_of


class EarlyStopping(Section):
    """Stops training once the validation split no longer improves, and keeps the best epoch."""

    patience: int = Field(default=3, ge=1, le=1_000_000)
    """Epochs without improvement before training stops."""
    monitor: Monitor = Field(default="val_loss", examples=["val_accuracy", "val_f1(cat)"])
    """Metric of the validation split to monitor: `val_loss`, or `val_` and a metric of the label, as in
    `evaluation.metrics`."""
    min_delta: float = Field(default=0.0, ge=0.0)
    """Smallest change of the metric that counts as an improvement."""

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether a lower or a higher value is better."""
        return "min" if lower_is_better(self.monitor.removeprefix("val_")) else "max"


def _patience(value: Any) -> Any:
    return {"patience": value} if isinstance(value, int) and not isinstance(value, bool) else value


class Training(Section):
    """How the model is trained."""

    epochs: int | None = Field(default=None, ge=1, le=1_000_000, examples=[10])
    """Number of passes over the training split. With `early_stopping`, the maximum. Set one of `epochs`, `steps` and
    `examples`."""
    steps: int | None = Field(default=None, ge=1, le=1_000_000_000, examples=[5000])
    """In place of `epochs`: number of batches. The last epoch is cut short if need be."""
    examples: int | None = Field(default=None, ge=1, le=1_000_000_000_000, examples=[100_000])
    """In place of `epochs`: number of examples, rounded up to whole batches; examples of later epochs count again."""
    batch_size: int = Field(default=32, ge=1, le=1_000_000)
    """Examples per step."""
    drop_remainder: bool = False
    """Whether a last batch of fewer examples is dropped in each epoch of training, so that all batches have one size.
    Each epoch drops other examples, as they are shuffled."""
    optimizer: Optimizer = Optimizer()
    """The optimizer and its settings."""
    loss: Loss | None = Field(default=None, examples=["focal", {"kind": "asymmetric", "over": 1, "under": 3}])
    """The loss, by name or with its settings. `class`, `binary` and `multilabel`: `cross_entropy` (the default) and
    `focal`. `regression`: `mse` (the default), `mae`, `huber` and `asymmetric`. Other labels have one loss only. With
    `kind: custom`, a loss of your own, for any label."""
    class_weights: ClassWeights | None = Field(default=None, examples=["balanced", {"no": 1, "yes": 5}])
    """Weights of classes in the training loss, for `class`, `binary` and `multilabel`. `balanced`: n / (classes *
    records of the class), as scikit-learn computes it from the training split. Or a weight for each class by name;
    others weigh 1. With `multilabel`, the weight of a class counts for records that have the class; `balanced` balances
    the records with and without it. Validation and evaluation have no class weights."""
    sample_weight: str | None = Field(default=None, min_length=1, examples=["survey_weight"])
    """Column with the weight of each record in the loss of training and validation: one number per record, at least 0.
    A record without one is a bad record. Metrics are not weighted, and serving does not need the column."""
    l1: float | None = Field(default=None, gt=0.0, examples=[1e-5])
    """Adds this times the sum of the absolute weights to the loss: of all kernels and embeddings that are being
    trained, except in hub modules with regularization losses of their own, which are always added."""
    l2: float | None = Field(default=None, gt=0.0, examples=[1e-4])
    """Adds this times the sum of the squared weights to the loss, as `l1`."""
    ema: float | None = Field(default=None, gt=0.0, lt=1.0, examples=[0.999])
    """Decay of an exponential moving average of the weights, which is evaluated and exported in place of the weights.
    After step n, the decay is at most (1 + n) / (10 + n)."""
    metrics: tuple[Metric, ...] = Field(default=(), examples=[["auc", "macro_f1"]])
    """Metrics to compute in each epoch for the training curves, as in `evaluation.metrics`, besides the metrics that
    `best` and `early_stopping` name and the cheap ones that are always computed: accuracy for `class` and `binary`;
    binary_accuracy and f1 for `multilabel`; rmse and mae for `regression`; accuracy and mean_iou for `class_and_box`;
    pixel_accuracy and mean_iou for `pixels`."""
    best: Monitor | None = Field(default=None, examples=["val_accuracy"])
    """Metric of the validation split that selects the epoch to export, as `early_stopping.monitor` does, but without
    stopping early. Default: the last epoch is exported."""
    early_stopping: Annotated[
        EarlyStopping | None, BeforeValidator(_patience, json_schema_input_type=int | EarlyStopping | None)
    ] = Field(default=None, examples=[3, {"patience": 5, "monitor": "val_accuracy"}])
    """When to stop before the last epoch; a bare number is the patience. Default: all epochs are run and the last one
    is kept."""
    checkpoints: Checkpoints = Field(default=Checkpoints(), examples=[{"every": {"minutes": 5}, "max_to_keep": 3}])
    """When checkpoints are saved, from which an interrupted run resumes, and how many are kept."""
    warm_start: WarmStart | None = Field(default=None, examples=[{"from": "serving"}])
    """Where the initial values of the variables come from. Default: a hub module's own values, and random numbers for
    everything else."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seed of the initial weights, dropout, the order of examples and augmentation. Each epoch draws new random
    values."""
    augment: tuple[Augment, ...] = Field(default=(), examples=[["flip_left_right", {"brightness": 0.2}]])
    """Random changes to the training images, in order. Evaluation and serving see unchanged images."""
    cache_views: int | None = Field(default=None, ge=1, le=1000)
    """With `augment`: number of augmented views of each image whose module outputs are cached. Each epoch draws one
    view per example. Default: every image is augmented and embedded anew in every epoch, which is slow."""
    materialize: bool | Literal["auto"] = "auto"
    """Whether rows without images are cached between epochs after the transform graph rather than before it. `auto`: if
    at least half of the features are categories and 100,000 rows or more are read over all epochs."""
    cache_bytes: int | None = Field(default=None, ge=0, le=1 << 50, examples=[8589934592])
    """Maximum size in bytes of a split that is cached in memory between epochs; larger ones are cached on the local
    disk. Default: a quarter of the memory of the machine, or of the container's limit, which `workers` on one machine
    share."""
    shuffle_buffer: int = Field(default=10_000, ge=1, le=1_000_000_000)
    """Maximum number of examples in the shuffle buffer. Images stay encoded there."""
    shuffle_bytes: int = Field(default=256 << 20, ge=1, le=1 << 50)
    """Maximum size of the shuffle buffer in bytes. Large examples are shuffled among fewer. The order of examples
    depends on this setting, not on the memory that happens to be free."""
    devices: Devices = Field(default=Devices(), examples=[{"count": 2, "precision": "mixed_float16"}])
    """The devices of the training, and how they compute."""
    tensorboard: TensorBoard = Field(default=TensorBoard(), examples=[{"histograms": True, "profile": [10, 20]}])
    """What to log for TensorBoard besides curves, the model's graph and hyperparameters."""
    workers: int = Field(default=1, ge=1, le=1024, examples=[4])
    """Number of processes that train together, each on its own devices (MultiWorkerMirroredStrategy). Each batch is
    split evenly among them. `hubline run` starts them on this machine; on Kubeflow, each has a pod of its own."""

    @model_validator(mode="after")
    def _workers_have_shares(self) -> "Training":
        raise_placed("Training", worker_errors(self.workers, self.batch_size, self.devices))
        return self

    @model_validator(mode="after")
    def _has_one_length(self) -> "Training":
        said = [key for key in ("epochs", "steps", "examples") if getattr(self, key) is not None]
        if len(said) != 1:
            found = f"{' and '.join(said)} are set" if said else "none is set"
            raise ValueError(f"set one of epochs, steps and examples; {found}")
        return self

    @model_validator(mode="after")
    def _selects_one_epoch(self) -> "Training":
        if self.best is not None and self.early_stopping is not None:
            raise ValueError(
                "early_stopping exports the best epoch by its own monitor; remove best, and set early_stopping.monitor"
            )
        return self

    @property
    def selection(self) -> EarlyStopping | None:
        """How the epoch to export is selected; with `best`, all epochs are run."""
        if self.best is not None:
            return EarlyStopping(monitor=self.best, patience=1_000_000)
        return self.early_stopping

    @property
    def named_metrics(self) -> list[tuple[Location, str]]:
        """Metrics that the section names, each with its location."""
        named: list[tuple[Location, str]] = [(("metrics", place), metric) for place, metric in enumerate(self.metrics)]
        if self.selection is not None and (metric := metric_of(self.selection.monitor)) is not None:
            named.append((("best",) if self.best else ("early_stopping", "monitor"), metric))
        return named

    @model_validator(mode="after")
    def _saves_a_checkpoint(self) -> "Training":
        every = self.checkpoints.every
        if every is not None and not isinstance(every, Minutes) and is_longer(every, self.length):
            says = "is longer than the whole training, so no checkpoint is saved; shorten it, or train longer"
            raise_placed("Training", [(("checkpoints", "every"), says)])
        return self

    @model_validator(mode="after")
    def _schedule_ends(self) -> "Training":
        rate = self.optimizer.learning_rate
        if not isinstance(rate, float):
            says = "is longer than the whole training, so the schedule never ends; shorten it, or train longer"
            long = [key for key, length in rate.lengths() if is_longer(length, self.length)]
            raise_placed("Training", [(("optimizer", "learning_rate", key), says) for key in long])
        return self

    @model_validator(mode="after")
    def _profiles_its_steps(self) -> "Training":
        profile = self.tensorboard.profile
        if profile is not None and is_longer(Steps(steps=profile[1]), self.length):
            says = f"step {profile[1]:,} comes after the end of the training; profile earlier steps, or train longer"
            raise_placed("Training", [(("tensorboard", "profile"), says)])
        return self

    @model_validator(mode="after")
    def _views_of_something(self) -> "Training":
        if self.cache_views is not None and not self.augment:
            raise ValueError("cache_views requires `augment`; add `augment` or remove cache_views")
        return self

    @model_validator(mode="after")
    def _mixed_once_and_as_images(self) -> "Training":
        count = len(self.augment) - len(self.changes)
        if count > 1:
            raise ValueError("`augment` contains mixup several times; list it once")
        if count and self.cache_views is not None:
            raise ValueError("mixup blends images, so cache_views can't store their outputs; remove one")
        return self

    @model_validator(mode="after")
    def _mixes_no_weights(self) -> "Training":
        if self.mixup is not None:
            says = "mixup blends examples, which would have several weights; remove mixup or the weights"
            weighed = [key for key in ("class_weights", "sample_weight") if getattr(self, key) is not None]
            raise_placed("Training", [((key,), says) for key in weighed])
        return self

    @property
    def length(self) -> AnyLength:
        """The length of the whole training."""
        if self.steps is not None:
            return Steps(steps=self.steps)
        if self.examples is not None:
            return Examples(examples=self.examples)
        assert self.epochs is not None  # ensured by validation
        return Epochs(epochs=self.epochs)

    def pace(self, examples: int) -> Pace:
        """The steps of a training on a split of that many examples; arguments and errors as for `Pace.of`."""
        return Pace.of(self.length, examples, self.batch_size, self.drop_remainder)

    @property
    def changes(self) -> tuple[Augmentation, ...]:
        """The augmentations that change each image by itself."""
        return tuple(change for change in self.augment if change.mixup is None)

    @property
    def mixup(self) -> float | None:
        """The parameter of mixup, or None."""
        return next((change.mixup for change in self.augment if change.mixup is not None), None)
