"""Label `pixels`: what each pixel of a picture is of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from hubline.preprocessing.kinds.kind import Read, Values
from hubline.preprocessing.labels.label import LABEL, ClassNames, LabelKind, values_of

MOST_CLASSES = 255
"""A mask has a byte for each pixel, and one number stands for what is of no class."""


class PixelsLabel(LabelKind):
    """The class of each pixel of a picture, as a mask of its size."""

    kind: Literal["pixels"]
    column: str = Field(alias="from", min_length=1, examples=["mask"])
    """The column that holds the mask: a PNG of the picture's height and width with the number of a class for each
    pixel, from 0. It is grey or has a palette, of which the indices are taken, with 8 bits a pixel or fewer."""
    image: str = Field(min_length=1, examples=["photo"])
    """The feature whose picture the mask is of."""
    classes: ClassNames = Field(min_length=2, max_length=MOST_CLASSES, examples=[["background", "cat", "dog"]])
    """The names of the classes, by their number in the mask."""
    ignore: int | None = Field(default=None, ge=0, le=255, examples=[255])
    """The number of pixels that are of no class, such as borders: they are neither learned nor judged."""

    @model_validator(mode="after")
    def _ignores_no_class(self) -> PixelsLabel:
        if self.ignore is not None and self.ignore < len(self.classes):
            raise ValueError(
                f"ignore is {self.ignore}, which is the number of the class '{self.classes[self.ignore]}'; the classes "
                f"have the numbers from 0 to {len(self.classes) - 1}"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def masks(self) -> tuple[str, ...]:
        """The same."""
        return (self.column,)

    def transform(self, read: Read) -> dict[str, Values]:
        """The masks, encoded. TF Transform makes no graph of nothing; masks pass it by all the same, as images do."""
        return {LABEL: values_of(read, self.column)}
