"""The types of `features` and `label` in the pipeline file. To add a kind, write its class and add it to the union."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from preprocessing.section import Section


class ImageFeature(Section):
    """An image kept encoded (JPEG, PNG, GIF or BMP) in one bytes column, decoded only where the model needs pixels."""

    kind: Literal["image"]
    column: str | None = Field(default=None, alias="from", min_length=1)
    """The column that holds the encoded image; the feature's own name where this is absent."""
    size: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]] = Field(
        examples=[[224, 224]]
    )
    """Height and width in pixels that the image is resized to."""
    channels: Literal[1, 3] = 3
    """3 for RGB, 1 for grey; an image of the other sort is converted."""
    fit: Literal["stretch", "crop"] = "stretch"
    """Whether an image of other proportions is stretched, or cut to the middle."""
    resize: Literal["bilinear", "nearest", "bicubic", "area"] = "bilinear"
    """How pixels are interpolated."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """What black and white become. Image modules of TensorFlow Hub take [0, 1] by convention."""

    @field_validator("value_range")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError(
                f"the first value must be the smaller one, such as [0, 1]; got [{value[0]:g}, {value[1]:g}]"
            )
        return value


Feature = ImageFeature
"""The union of the kinds, told apart by `kind`: `Annotated[ImageFeature | NextKind, Field(discriminator="kind")]`."""


def column_of(name: str, feature: Feature) -> str:
    """The raw column that the feature `name` reads."""
    return feature.column or name


def input_name(column: str) -> str:
    """The name by which a served model takes a raw column: signatures of TensorFlow take identifiers alone.

    Every other character becomes `_`, and a name that does not begin with a letter gets `column_` before it.
    """
    name = re.sub(r"\W", "_", column, flags=re.ASCII)
    return name if name[:1].isalpha() else f"column_{name}"


def _told_apart(features: dict[str, Feature]) -> dict[str, Feature]:
    columns = {column_of(name, feature) for name, feature in features.items()}
    for column in columns:
        twins = sorted(other for other in columns if input_name(other) == input_name(column))
        if len(twins) > 1:
            raise ValueError(f"a served model would take the columns {' and '.join(twins)} by one name; rename one")
    return features


Features = Annotated[
    dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")], Feature], AfterValidator(_told_apart)
]


class ClassLabel(Section):
    """One class per record: an integer or a string."""

    kind: Literal["class"]
    column: str = Field(alias="from", min_length=1, examples=["label"])
    """The column that holds the label."""
    classes: tuple[str, ...] | None = Field(default=None, min_length=2, examples=[["cat", "dog"]])
    """The names of the classes. A string column holds these names, an integer column their positions, from 0. Where
    this is absent, the classes are the values found in the training split, most frequent first."""

    @field_validator("classes")
    @classmethod
    def _distinct(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        repeated = sorted({name for name in value or () if (value or ()).count(name) > 1})
        if repeated:
            raise ValueError(f"each class is named once; repeated: {', '.join(repeated)}")
        return value


Label = ClassLabel
"""The union of the kinds of label, told apart by `kind`."""
