"""Types of the `backbones` section. To add a kind, write its network and add its type to the union."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from hubline.core.config_base import FilePath, Section
from hubline.trainer.config.model import Model
from hubline.trainer.config.names import FeatureName
from hubline.trainer.config.user_function import UserFunction


class Backbone(Section):
    """Base of all kinds of backbone, with the defaults that they share.

    Each kind has `inputs`, the feature that feeds each input by input name.
    """

    least: ClassVar[int] = 1
    """Smallest height and width of an input image."""
    channels: ClassVar[tuple[int, ...]] = (1, 3)
    """Numbers of channels that an input image may have."""

    kind: str
    trainable: bool = True
    """Whether the whole backbone is trained with the head from the first epoch on. A backbone that `model.fine_tune`
    lists is trained as described there instead."""

    @property
    def takes_range(self) -> bool:
        """Whether images arrive in their feature's `value_range`, rather than scaled by the backbone itself."""
        return True

    @property
    def weights_file(self) -> str | None:
        """The file with the initial weights, or None."""
        return None


class FromScratch(Backbone):
    """Base of kinds that take one image and start from random weights."""

    input: FeatureName
    """The image feature to embed."""

    @field_validator("trainable")
    @classmethod
    def _has_something_to_keep(cls, trainable: bool) -> bool:
        if not trainable:
            raise ValueError("its weights are random, so it must be trained; remove `trainable`")
        return trainable

    @property
    def inputs(self) -> Mapping[str, str]:
        return {"pixels": self.input}


class LeNet5(FromScratch):
    """LeNet-5 (LeCun et al. 1998) with tanh activations: 84 numbers per image. The paper uses 32 x 32 images."""

    least: ClassVar[int] = 16

    kind: Literal["lenet5"]


class AlexNet(FromScratch):
    """AlexNet (Krizhevsky et al. 2012) in a single tower: 4096 numbers per image. The paper uses 224 x 224 images."""

    least: ClassVar[int] = 63

    kind: Literal["alexnet"]
    dropout: float = Field(default=0.5, ge=0.0, lt=1.0)
    """Dropout rate before each of the two dense layers."""


class ResNet34(FromScratch):
    """ResNet-34 (He et al. 2015), with or without squeeze and excitation: 512 numbers per image, of any size."""

    kind: Literal["resnet34"]
    squeeze_and_excitation: bool = False
    """Whether each block reweights its channels from a global average of the image (squeeze and excitation, Hu et al.
    2017)."""


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
"""The functions of keras.applications, listed here so that `hubline check` need not import Keras."""

APPLICATIONS: tuple[str, ...] = get_args(Application)

_OPTIONS = {
    "alpha": ("MobileNet",),
    "depth_multiplier": ("MobileNet",),
    "minimalistic": ("MobileNetV3",),
    "include_preprocessing": ("ConvNeXt", "EfficientNetV2", "MobileNetV3", "RegNet", "ResNetRS"),
}
"""For each option, the prefixes of the function names that accept it."""

WEIGHTS = (".h5", ".hdf5", ".keras")
"""File extensions of weights."""


def options_of(application: str) -> tuple[str, ...]:
    """The options that a function of keras.applications accepts beyond the common ones."""
    taken = tuple(option for option, names in _OPTIONS.items() if application.startswith(names))
    # The prefix MobileNet also matches V2 and V3, which take no depth multiplier.
    return tuple(option for option in taken if option != "depth_multiplier" or application == "MobileNet")


def _of_weights(value: Any) -> Any:
    if value == "imagenet":
        raise ValueError("Hubline downloads no weights; set a weights file without the top, or `none`")
    if isinstance(value, str) and value != "none" and not value.endswith(WEIGHTS):
        raise ValueError(f"'{value}' is not a weights file; the name must end in {', '.join(WEIGHTS)}; or say `none`")
    return value


class KerasApplication(Backbone):
    """An architecture of keras.applications without its top: one vector per image."""

    channels: ClassVar[tuple[int, ...]] = (3,)

    kind: Literal["keras_application"]
    name: Application = Field(examples=["MobileNetV2"])
    """Name of the function in keras.applications."""
    weights: Annotated[Literal["none"] | FilePath, BeforeValidator(_of_weights)] = Field(
        examples=["weights/mobilenet_v2_no_top.h5"]
    )
    """File with the initial weights without the top, as Keras writes it: .weights.h5, .h5 or .keras. `none` starts from
    random weights. Nothing is downloaded."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Expected SHA-256 of the file, as `sha256sum` prints it."""
    input: FeatureName
    """The image feature to embed, with three channels. Pixels are scaled by the function's own `preprocess_input`."""
    pooling: Literal["avg", "max"] = "avg"
    """Pooling over the positions of the last layer: their average, or their elementwise maximum."""
    alpha: float | None = Field(default=None, gt=0.0)
    """MobileNet, V1 only: width multiplier. Default: 1."""
    depth_multiplier: int | None = Field(default=None, ge=1)
    """MobileNet, V1 only: number of depthwise filters per channel. Default: 1."""
    minimalistic: bool | None = None
    """MobileNetV3: whether to build the variant without operations that are slow on some hardware."""
    include_preprocessing: bool | None = None
    """ConvNeXt, EfficientNetV2, MobileNetV3, RegNet and ResNetRS: whether the first layers scale the pixels. With
    `false`, pixels arrive in the feature's `value_range`."""

    @model_validator(mode="after")
    def _says_what_the_function_takes(self) -> "KerasApplication":
        wrong = sorted(self.options.keys() - set(options_of(self.name)))
        if wrong:
            taken = ", ".join(options_of(self.name)) or "none of these options"
            raise ValueError(f"{self.name} does not take {' and '.join(wrong)}; it takes {taken}")
        if self.sha256 is not None and self.weights_file is None:
            raise ValueError("sha256 requires a weights file; remove it")
        if not self.trainable and self.weights_file is None:
            raise ValueError(
                "its weights are random, so it must be trained; set a file of `weights`, or remove `trainable`"
            )
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The optional arguments that are set, for the function of keras.applications."""
        given = {option: getattr(self, option) for option in _OPTIONS}
        return {option: value for option, value in given.items() if value is not None}

    @property
    def inputs(self) -> Mapping[str, str]:
        return {"pixels": self.input}

    @property
    def takes_range(self) -> bool:
        """Only if `include_preprocessing` is off: nothing in the model scales the pixels then."""
        return self.include_preprocessing is False

    @property
    def weights_file(self) -> str | None:
        return None if self.weights == "none" else self.weights


class Builder(UserFunction, Backbone):
    """Your own function that returns a Keras layer or model."""

    kind: Literal["builder"]
    inputs: dict[str, FeatureName] = Field(min_length=1, examples=[{"pixels": "photo"}])
    """The feature that feeds each input. Images and clips arrive as float32 pixels in their `value_range`, texts as
    strings, and numeric features as float32 of their `shape`. The layer is called with the one tensor, or with a
    mapping of these names to tensors if there are several, and returns [batch, n]."""


AnyBackbone = Annotated[KerasApplication | LeNet5 | AlexNet | ResNet34 | Builder, Field(discriminator="kind")]
"""Any kind of backbone, discriminated by `kind`."""

Backbones = dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], AnyBackbone]

NO_BACKBONES: Backbones = {}
"""For a model whose only modules are hub modules."""


def trained_from_the_start(backbones: Backbones, model: Model) -> frozenset[str]:
    """Names of the backbones that are trained with the head from the first epoch on."""
    return frozenset(name for name, backbone in backbones.items() if backbone.trainable and name not in model.fine_tune)
