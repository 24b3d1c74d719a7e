"""The types of `hubs` in the pipeline file."""

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
