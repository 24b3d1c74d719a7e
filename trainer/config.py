"""The types of `hubs`, `model` and `training` in the pipeline file."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from preprocessing.section import FilePath, Section


def _known_feature(name: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("features")
    if known is not None and name not in known:
        raise ValueError(f"there is no feature '{name}'; the features are: {', '.join(sorted(known)) or 'none'}")
    return name


FeatureName = Annotated[str, AfterValidator(_known_feature)]


class Hub(Section):
    """A TensorFlow Hub module and what it is fed."""

    handle: FilePath = Field(
        min_length=1, examples=["https://tfhub.dev/google/imagenet/mobilenet_v2_035_96/feature_vector/5"]
    )
    """A folder, a .tar.gz archive, gs:// or s3://, or a tfhub.dev or Kaggle address."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """What the module must be: the archive's SHA-256, or for a folder the digest that `hubline inspect` prints."""
    inputs: dict[str, FeatureName] = Field(min_length=1, examples=[{"images": "photo"}])
    """The module's input names and the feature that feeds each. A module that takes one tensor takes any name."""
    signature: str | None = Field(default=None, min_length=1)
    """A named signature to call, instead of the module itself."""
    output: str = Field(default="default", min_length=1)
    """The name of the output to use where there are several."""


Hubs = dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], Hub]


class Head(Section):
    """The layers between the hub modules' outputs and the predictions."""

    hidden: tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...] = Field(default=(), examples=[[128]])
    """Units of each hidden layer (ReLU), first to last."""
    dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """The share of units dropped before each dense layer in training."""


class Model(Section):
    """What stands on the hub modules."""

    head: Head = Head()
    """The layers between the modules and the predictions."""


class Optimizer(Section):
    """How the weights are updated."""

    name: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    """The Keras optimizer."""
    learning_rate: float = Field(default=1e-3, gt=0.0)
    """The size of a step; the same from the first to the last."""
    momentum: float | None = Field(default=None, ge=0.0, lt=1.0)
    """For sgd and rmsprop only."""

    @model_validator(mode="after")
    def _knows_momentum(self) -> "Optimizer":
        if self.momentum is not None and self.name not in ("sgd", "rmsprop"):
            raise ValueError(f"{self.name} takes no momentum; leave it out, or use sgd or rmsprop")
        return self


class Training(Section):
    """How the model is trained."""

    epochs: int = Field(ge=1, le=1_000_000, examples=[10])
    """Passes over the training split."""
    batch_size: int = Field(default=32, ge=1, le=1_000_000)
    """Examples per step."""
    optimizer: Optimizer = Optimizer()
    """How the weights are updated."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seeds the initial weights, dropout and the order of the examples."""
    shuffle_buffer: int = Field(default=10_000, ge=1, le=1_000_000_000)
    """Encoded examples held in memory to shuffle among."""
