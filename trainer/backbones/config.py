"""The types of `backbones` in the pipeline file. To add a kind, write its network and add it to the union."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from hubline.core.config_base import FilePath, Section
from hubline.trainer.config.hubs import Argument
from hubline.trainer.config.model import Model
from hubline.trainer.config.names import FeatureName


class Backbone(Section):
    """A kind of backbone. What it does not say otherwise holds for every kind.

    Each has `inputs`: by the name of each of its inputs, the feature that feeds it.
    """

    least: ClassVar[int] = 1
    """The least height and width of an image that it takes, where it says so itself."""
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    """How many channels an image that it takes may have."""

    kind: str
    trainable: bool = True
    """Whether all of it is trained with the head, from the first epoch on. One that `model.fine_tune` names is trained
    as that says instead."""

    @property
    def takes_range(self) -> bool:
        """Whether images come in their feature's `value_range`, rather than as the backbone itself has them."""
        return True

    @property
    def weights_file(self) -> str | None:
        """The file that its weights begin with, if there is one."""
        return None


class FromScratch(Backbone):
    """A kind whose weights begin at random, and that takes one image."""

    input: FeatureName
    """The feature that feeds it, an image."""

    @field_validator("trainable")
    @classmethod
    def _has_something_to_keep(cls, trainable: bool) -> bool:
        if not trainable:
            raise ValueError("it begins at random, so there is nothing worth keeping as it is; leave `trainable` out")
        return trainable

    @property
    def inputs(self) -> Mapping[str, str]:
        """The one image."""
        return {"pixels": self.input}


class LeNet5(FromScratch):
    """LeNet-5 (LeCun et al. 1998) with tanh: 84 numbers for an image, of 32 x 32 in the paper."""

    least: ClassVar[int] = 16

    kind: Literal["lenet5"]


class AlexNet(FromScratch):
    """AlexNet (Krizhevsky et al. 2012) in one tower: 4096 numbers for an image, of 224 x 224 in the paper."""

    least: ClassVar[int] = 63

    kind: Literal["alexnet"]
    dropout: float = Field(default=0.5, ge=0.0, lt=1.0)
    """The share of units dropped before each of its two dense layers in training."""


class ResNet34(FromScratch):
    """ResNet-34 (He et al. 2015), with squeeze and excitation or without: 512 numbers for an image of any size."""

    kind: Literal["resnet34"]
    squeeze_and_excitation: bool = False
    """Whether each block weighs its channels by what all of the image shows (Hu et al. 2017)."""


Application = Literal[
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "DenseNet121", "DenseNet169",
    "DenseNet201", "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4",
    "EfficientNetB5", "EfficientNetB6", "EfficientNetB7", "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2",
    "EfficientNetV2B3", "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S", "InceptionResNetV2", "InceptionV3",
    "MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small", "NASNetLarge", "NASNetMobile", "RegNetX002",
    "RegNetX004", "RegNetX006", "RegNetX008", "RegNetX016", "RegNetX032", "RegNetX040", "RegNetX064", "RegNetX080",
    "RegNetX120", "RegNetX160", "RegNetX320", "RegNetY002", "RegNetY004", "RegNetY006", "RegNetY008", "RegNetY016",
    "RegNetY032", "RegNetY040", "RegNetY064", "RegNetY080", "RegNetY120", "RegNetY160", "RegNetY320", "ResNet101",
    "ResNet101V2", "ResNet152", "ResNet152V2", "ResNet50", "ResNet50V2", "ResNetRS101", "ResNetRS152", "ResNetRS200",
    "ResNetRS270", "ResNetRS350", "ResNetRS420", "ResNetRS50", "VGG16", "VGG19", "Xception",
]  # fmt: skip
"""The functions of keras.applications; `hubline check` knows them without importing it."""

APPLICATIONS: tuple[str, ...] = get_args(Application)

_OPTIONS = {
    "alpha": ("MobileNet",),
    "depth_multiplier": ("MobileNet",),
    "minimalistic": ("MobileNetV3",),
    "include_preprocessing": ("ConvNeXt", "EfficientNetV2", "MobileNetV3", "RegNet", "ResNetRS"),
}
"""By option, how the names of the functions begin that take it."""

WEIGHTS = (".h5", ".hdf5", ".keras")
"""How the names of files of weights end."""


def options_of(application: str) -> tuple[str, ...]:
    """The options that a function of keras.applications takes besides what all of them do."""
    taken = tuple(option for option, names in _OPTIONS.items() if application.startswith(names))
    # Which has V2 and V3 after it, and these no multiplier.
    return tuple(option for option in taken if option != "depth_multiplier" or application == "MobileNet")


def _of_weights(value: Any) -> Any:
    if value == "imagenet":
        raise ValueError("Hubline downloads no weights; name a file of them, one without the top, or say `none`")
    if isinstance(value, str) and value != "none" and not value.endswith(WEIGHTS):
        raise ValueError(f"'{value}' is no file of weights; its name ends in {', '.join(WEIGHTS)}; or say `none`")
    return value


class KerasApplication(Backbone):
    """An architecture of keras.applications, without its top: a vector for each image."""

    channels: ClassVar[tuple[int, ...]] = (3,)

    kind: Literal["keras_application"]
    name: Application = Field(examples=["MobileNetV2"])
    """Its function in keras.applications."""
    weights: Annotated[Literal["none"] | FilePath, BeforeValidator(_of_weights)] = Field(
        examples=["weights/mobilenet_v2_no_top.h5"]
    )
    """A file with the weights that it begins with, as Keras writes them: .weights.h5, .h5 or .keras; without the top.
    Or `none`, to begin at random. Nothing is downloaded."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """What the file must be, as `sha256sum` prints it."""
    input: FeatureName
    """The feature that feeds it, an image of three channels. Its pixels come as the function's own `preprocess_input`
    makes them."""
    pooling: Literal["avg", "max"] = "avg"
    """What becomes of the last layer's places: their mean, or the greatest number in each position."""
    alpha: float | None = Field(default=None, gt=0.0)
    """Of a MobileNet, the width of its layers; 1 where this is absent."""
    depth_multiplier: int | None = Field(default=None, ge=1)
    """Of the first MobileNet, how many filters there are for a channel; 1 where this is absent."""
    minimalistic: bool | None = None
    """Of a MobileNetV3, whether it is the variant without what special hardware is slow at."""
    include_preprocessing: bool | None = None
    """Of a ConvNeXt, EfficientNetV2, MobileNetV3, RegNet or ResNetRS, whether its first layers scale the pixels. Where
    this is false, pixels come in the feature's `value_range`."""

    @model_validator(mode="after")
    def _says_what_the_function_takes(self) -> "KerasApplication":
        wrong = sorted(self.options.keys() - set(options_of(self.name)))
        if wrong:
            taken = ", ".join(options_of(self.name)) or "none of these options"
            raise ValueError(f"{self.name} does not take {' and '.join(wrong)}; it takes {taken}")
        if self.sha256 is not None and self.weights_file is None:
            raise ValueError("sha256 is that of a file of weights, and there is none; leave it out")
        if not self.trainable and self.weights_file is None:
            raise ValueError(
                "it begins at random, so there is nothing worth keeping as it is; say a file of `weights`, or leave "
                "`trainable` out"
            )
        return self

    @property
    def options(self) -> dict[str, Any]:
        """What the function is given besides, as it is said."""
        given = {option: getattr(self, option) for option in _OPTIONS}
        return {option: value for option, value in given.items() if value is not None}

    @property
    def inputs(self) -> Mapping[str, str]:
        """The one image."""
        return {"pixels": self.input}

    @property
    def takes_range(self) -> bool:
        """Only where the user leaves out what would scale them."""
        return self.include_preprocessing is False

    @property
    def weights_file(self) -> str | None:
        """That of `weights`."""
        return None if self.weights == "none" else self.weights


class Builder(Backbone):
    """A function of your own that gives a Keras layer or model."""

    kind: Literal["builder"]
    call: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$", examples=["my_models.small:build"])
    """The function, as `module:name`. It is handed `arguments`, and gives a Keras layer or model."""
    folder: FilePath = Field(default=".", min_length=1, validate_default=True)
    """The folder that the module is looked for in, before Python's own path: that of the pipeline file."""
    arguments: dict[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")], Argument] = Field(
        default={}, examples=[{"units": 64, "rate": 0.1}]
    )
    """What the function is handed, by name: numbers, texts, true or false, and lists of these."""
    inputs: dict[str, FeatureName] = Field(min_length=1, examples=[{"pixels": "photo"}])
    """The features that feed the layer: images and clips as float32 pixels in their `value_range`, texts as they are.
    It is given the one tensor, or of several a mapping by these names; and gives [batch, n]."""

    @property
    def module(self) -> str:
        """The module that the function is in."""
        return self.call.partition(":")[0]

    @property
    def function(self) -> str:
        """The name of the function in it."""
        return self.call.partition(":")[2]


AnyBackbone = Annotated[KerasApplication | LeNet5 | AlexNet | ResNet34 | Builder, Field(discriminator="kind")]
"""The union of the kinds, told apart by `kind`."""

Backbones = dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], AnyBackbone]

NO_BACKBONES: Backbones = {}
"""Where there is nothing but hub modules."""


def trained_from_the_start(backbones: Backbones, model: Model) -> frozenset[str]:
    """The backbones that are trained with the head from the first epoch on, by name."""
    return frozenset(name for name, backbone in backbones.items() if backbone.trainable and name not in model.fine_tune)
