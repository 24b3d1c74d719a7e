"""The types of `hubs`, `model` and `training` in the pipeline file."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from hubline.core.config_base import FilePath, Section
from hubline.preprocessing.kinds.combiner import InOrder


def _known_feature(name: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("features")
    if known is not None and name not in known:
        raise ValueError(f"there is no feature '{name}'; the features are: {', '.join(sorted(known)) or 'none'}")
    return name


FeatureName = Annotated[str, AfterValidator(_known_feature)]


def _known_module(name: str, info: ValidationInfo) -> str:
    hubs, backbones = ((info.context or {}).get(section) for section in ("hubs", "backbones"))
    if hubs is None or backbones is None or name in hubs or name in backbones:
        return name
    raise ValueError(
        f"there is no hub module or backbone '{name}'; the hubs are: {', '.join(sorted(hubs)) or 'none'}; "
        f"the backbones are: {', '.join(sorted(backbones)) or 'none'}"
    )


ModuleName = Annotated[str, AfterValidator(_known_module)]


def _known_hub(name: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("hubs")
    if known is not None and name not in known:
        raise ValueError(f"there is no hub module '{name}'; the hubs are: {', '.join(sorted(known)) or 'none'}")
    return name


HubName = Annotated[str, AfterValidator(_known_hub)]


Scalar = bool | int | float | str


def _argument(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        shown = "nothing" if value is None else repr(value)
        raise ValueError(f"must be a number, a text, true or false, or a list of these; got {shown}") from None


Argument = Annotated[Scalar | tuple[Scalar, ...] | tuple[tuple[Scalar, ...], ...], WrapValidator(_argument)]
"""What a module can be handed beside features."""


class Hub(Section):
    """A TensorFlow Hub module and what it is fed."""

    role: Literal["backbone", "augment"] = "backbone"
    """What it is there for: a head stands on what a `backbone` gives; one that shall `augment` changes the images of a
    feature in training, and nowhere else, where `training.augment` names it."""
    handle: FilePath = Field(
        min_length=1, examples=["https://tfhub.dev/google/imagenet/mobilenet_v2_035_96/feature_vector/5"]
    )
    """A folder, a .tar.gz archive, gs:// or s3://, or a tfhub.dev or Kaggle address."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """What the module must be: the archive's SHA-256, or for a folder the digest that `hubline inspect` prints."""
    inputs: dict[str, FeatureName] = Field(default={}, examples=[{"images": "photo"}])
    """The module's input names and the feature that feeds each. A module that takes one tensor takes any name. One that
    has no inputs is there for the `pretrained` embedding of a feature."""
    signature: str | None = Field(default=None, min_length=1)
    """A named signature to call, instead of the module itself."""
    arguments: dict[str, Argument] = Field(default={}, examples=[{"image_size": [224, 224], "return_endpoints": True}])
    """What the module, or its signature, is handed besides: numbers, texts, true or false, and lists of these."""
    output: str = Field(default="default", min_length=1)
    """The name of the output to use where there are several."""
    outputs: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), examples=[["block1", "block2", "block3"]]
    )
    """In place of `output`, for a label of pixels: the names of feature maps, [?, height, width, channels]. The
    smallest is what the head begins with; the others are laid beside it where it has come to their size."""
    pool: Literal["mean", "max"] | InOrder | None = Field(default=None, examples=["mean", {"lstm": 64}])
    """Where the output has several vectors for each example, for the places of an image, words or frames, what becomes
    of them: their `mean`, the greatest number in each position (`max`), or what a layer that is trained with the head
    makes of them in their order."""
    moves_pixels: bool | None = None
    """With `role: augment`, whether the module moves anything to another place in the image. Say `false` of a module
    that changes colours alone: a label with boxes or masks takes no other, as these would no longer fit the image."""

    @model_validator(mode="after")
    def _vector_or_maps(self) -> "Hub":
        # Not what was said: a section that was written down says its defaults too.
        beside = ["output"] * (self.output != "default") + ["pool"] * (self.pool is not None)
        if self.outputs and beside:
            raise ValueError(f"outputs names feature maps, and {' and '.join(beside)} is of one vector; leave one out")
        repeated = sorted({name for name in self.outputs if self.outputs.count(name) > 1})
        if repeated:
            raise ValueError(f"each output is named once; repeated: {', '.join(repeated)}")
        return self

    @model_validator(mode="after")
    def _augments_one_feature(self) -> "Hub":
        if self.role == "augment" and (len(self.inputs) != 1 or self.pool is not None or self.outputs):
            raise ValueError("a module with role: augment has one input, the images that it changes, and no pool")
        if self.role != "augment" and self.moves_pixels is not None:
            raise ValueError("moves_pixels is for a module with role: augment; leave it out")
        return self


Hubs = dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], Hub]


def fed_hubs(hubs: Hubs) -> Hubs:
    """The backbones that features feed; others are there to augment, or for the embeddings that begin with them."""
    return {name: hub for name, hub in hubs.items() if hub.inputs and hub.role == "backbone"}


def augmenting_hubs(hubs: Hubs) -> Hubs:
    """The modules that change training images."""
    return {name: hub for name, hub in hubs.items() if hub.role == "augment"}


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


_Area = Annotated[float, Field(gt=0.0, le=1.0)]
_Ratio = Annotated[float, Field(gt=0.0, le=100.0)]


def _from_to(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"the first value must not be the greater one; got [{value[0]:g}, {value[1]:g}]")
    return value


class Window(Section):
    """A window of the image, as `tf.image.sample_distorted_bounding_box` draws it."""

    area: Annotated[tuple[_Area, _Area], AfterValidator(_from_to)] = (0.08, 1.0)
    """The least and the greatest share of the image's area that it has."""
    aspect_ratio: Annotated[tuple[_Ratio, _Ratio], AfterValidator(_from_to)] = (0.75, 4 / 3)
    """The least and the greatest of its width by its height, in pixels."""


class Augmentation(Section):
    """One random change of the training images, drawn anew for each image and epoch. Give exactly one."""

    flip_left_right: Literal[True] | None = None
    """Mirror half of the images; the name alone says the same."""
    flip_up_down: Literal[True] | None = None
    """Turn half of the images upside down."""
    rotate: float | None = Field(default=None, gt=0.0, le=180.0, examples=[15])
    """Turn by up to so many degrees, either way, about the middle; corners that nothing comes to are black."""
    crop: Annotated[float, Field(gt=0.0, lt=1.0)] | Window | None = Field(
        default=None, examples=[0.2, {"area": [0.3, 1.0], "aspect_ratio": [0.75, 1.33]}]
    )
    """Cut off up to this share of the height and width, and enlarge what is left; or cut a window of some area and
    proportions, and stretch it to the image's size."""
    brightness: float | None = Field(default=None, gt=0.0, le=1.0)
    """Add up to this share of white, or take it away."""
    contrast: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Raise or lower the contrast by up to this share."""
    saturation: float | None = Field(default=None, gt=0.0, le=1.0)
    """Raise or lower the saturation of colours by up to this share; 1 takes some to grey."""
    hue: float | None = Field(default=None, gt=0.0, le=0.5)
    """Turn the hue by up to this share of the circle of colours, either way."""
    cutout: float | None = Field(default=None, gt=0.0, le=1.0)
    """Cover a square with grey, somewhere in the image; its side is up to this share of the image's shorter one."""
    mixup: float | None = Field(default=None, gt=0.0, le=100.0, examples=[0.2])
    """Lay each image over another of its batch, and its label over that one's: the share of the other is drawn from a
    Beta distribution with this number for both parameters, and is at most a half."""
    hub: HubName | None = None
    """What a hub module with `role: augment` makes of the images, by its name in `hubs`."""

    @model_validator(mode="after")
    def _one(self) -> "Augmentation":
        if len(self.names) != 1:
            raise ValueError("an augmentation is one name, or one name and its strength, such as {brightness: 0.2}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The changes that have a value: one, once the section is valid."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def moves(self) -> bool:
        """Whether pixels, and with them boxes and masks, come to other places."""
        return any((self.flip_left_right, self.flip_up_down, self.rotate, self.crop))


_STRENGTH = {"rotate": 15, "mixup": 0.2, "hub": "NAME"}


def _by_name(value: Any) -> Any:
    if isinstance(value, str) and value in Augmentation.model_fields and not value.startswith("flip"):
        raise ValueError(f"{value} needs a strength, such as {{{value}: {_STRENGTH.get(value, 0.2)}}}")
    return {value: True} if isinstance(value, str) else value


Augment = Annotated[
    Augmentation,
    BeforeValidator(_by_name, json_schema_input_type=Literal["flip_left_right", "flip_up_down"] | Augmentation),
]
"""An augmentation, or the name of one that has no strength."""


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
