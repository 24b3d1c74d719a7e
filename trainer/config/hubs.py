"""Types of the `hubs` section."""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from hubline.core.config_base import FilePath, Section
from hubline.preprocessing.kinds.combiner import InOrder
from hubline.trainer.config.names import FeatureName

Scalar = bool | int | float | str


def _argument(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        shown = "nothing" if value is None else repr(value)
        raise ValueError(f"must be a number, a string, true or false, or a list of these; got {shown}") from None


Argument = Annotated[Scalar | tuple[Scalar, ...] | tuple[tuple[Scalar, ...], ...], WrapValidator(_argument)]
"""A constant that is passed to a module in addition to its features."""


class Hub(Section):
    """A TensorFlow Hub module and its inputs."""

    role: Literal["backbone", "augment"] = "backbone"
    """`backbone`: the head is trained on the module's output. `augment`: the module changes the images of one feature,
    in training only, where `training.augment` names it."""
    handle: FilePath = Field(
        min_length=1, examples=["https://tfhub.dev/google/imagenet/mobilenet_v2_035_96/feature_vector/5"]
    )
    """Where the module is: a folder, a .tar.gz archive, a gs:// or s3:// path, or a tfhub.dev or Kaggle address."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Expected SHA-256 of the archive, or for a folder the digest that `hubline inspect` prints. Another module is
    refused."""
    allow_operations: tuple[Annotated[str, Field(min_length=1)], ...] = Field(default=(), examples=[["ReadFile"]])
    """Operations by which the module may reach beyond its own computation, by TensorFlow's names. Modules with any
    other operation that reads or writes files, connects to other machines or calls Python are refused, because such a
    module could read or change anything that you can."""
    inputs: dict[str, FeatureName] = Field(default={}, examples=[{"images": "photo"}])
    """The feature that feeds each input of the module, by input name. For a module with a single input, any name will
    do. A module without inputs serves as the `pretrained` embedding of a feature."""
    signature: str | None = Field(default=None, min_length=1)
    """Named signature to call. Default: the module itself is called."""
    arguments: dict[str, Argument] = Field(default={}, examples=[{"image_size": [224, 224], "return_endpoints": True}])
    """Constant arguments of the module or signature: numbers, strings, booleans, and lists of these."""
    output: str = Field(default="default", min_length=1)
    """Name of the output to use, if the module has several."""
    outputs: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(), examples=[["block1", "block2", "block3"]]
    )
    """For a `pixels` label, in place of `output`: names of feature maps, each [batch, height, width, channels]. The
    head starts from the smallest map and upsamples it, concatenating each larger map at its own size."""
    pool: Literal["mean", "max"] | InOrder | None = Field(default=None, examples=["mean", {"lstm": 64}])
    """How to combine several vectors per example (one per image position, word or frame): their `mean`, their
    elementwise maximum (`max`), or a sequence layer that is trained with the head."""
    moves_pixels: bool | None = None
    """With `role: augment`, whether the module moves anything within the image. Set `false` for a module that only
    changes colours: labels with boxes or masks accept no other module, because boxes and masks would no longer match
    the image."""

    @model_validator(mode="after")
    def _vector_or_maps(self) -> "Hub":
        # Compare values rather than `model_fields_set`: a section that is written out sets its defaults too.
        beside = ["output"] * (self.output != "default") + ["pool"] * (self.pool is not None)
        if self.outputs and beside:
            raise ValueError(f"outputs is for feature maps, but {' and '.join(beside)} is for a vector; remove one")
        repeated = sorted({name for name in self.outputs if self.outputs.count(name) > 1})
        if repeated:
            raise ValueError(f"outputs must be distinct; repeated: {', '.join(repeated)}")
        return self

    @model_validator(mode="after")
    def _augments_one_feature(self) -> "Hub":
        if self.role == "augment" and (len(self.inputs) != 1 or self.pool is not None or self.outputs):
            raise ValueError("a module with role: augment must have one input, the images, and no pool")
        if self.role != "augment" and self.moves_pixels is not None:
            raise ValueError("moves_pixels requires role: augment; remove it")
        return self


Hubs = dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], Hub]


NO_HUBS: Hubs = {}
"""For a model without hub modules."""


def fed_hubs(hubs: Hubs) -> Hubs:
    """The backbones that features feed. Other modules augment images or initialize embeddings."""
    return {name: hub for name, hub in hubs.items() if hub.inputs and hub.role == "backbone"}


def augmenting_hubs(hubs: Hubs) -> Hubs:
    """The modules that augment training images."""
    return {name: hub for name, hub in hubs.items() if hub.role == "augment"}
