"""Label kind `pixels`: semantic segmentation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hubline.preprocessing.kinds.kind import TransformContext, Values
from hubline.preprocessing.labels.label import LABEL, ClassNames, LabelKind, values_of

MOST_CLASSES = 255
"""A mask has one byte per pixel, and one value is reserved for pixels without a class."""


class PixelsLabel(LabelKind):
    """The class of each pixel of an image, as a mask of the image's size."""

    kind: Literal["pixels"]
    column: str = Field(alias="from", min_length=1, examples=["mask"])
    """Column with the mask: a PNG of the image's height and width whose pixels are class numbers, from 0. Grey or
    palette, at most 8 bits per pixel; of a palette, the indices are read."""
    image: str = Field(min_length=1, examples=["photo"])
    """The image feature that the mask belongs to."""
    classes: ClassNames = Field(min_length=2, max_length=MOST_CLASSES, examples=[["background", "cat", "dog"]])
    """Names of the classes, by class number."""
    ignore: int | None = Field(default=None, ge=0, le=255, examples=[255])
    """Number in the mask for pixels without a class, such as borders. They are excluded from training and
    evaluation."""

    @model_validator(mode="after")
    def _ignores_no_class(self) -> PixelsLabel:
        if self.ignore is not None and self.ignore < len(self.classes):
            raise ValueError(
                f"ignore is {self.ignore}, which is the number of the class '{self.classes[self.ignore]}'; the classes "
                f"have the numbers from 0 to {len(self.classes) - 1}"
            )
        return self

    @property
    def named_classes(self) -> tuple[str, ...]:
        return self.classes

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def picture(self) -> str:
        return self.image

    @property
    def masks(self) -> tuple[str, ...]:
        return (self.column,)

    def transform(self, read: TransformContext) -> dict[str, Values]:
        """The encoded masks. TF Transform builds no graph without outputs; masks bypass the graph nevertheless, as
        images do."""
        return {LABEL: values_of(read, self.column)}
