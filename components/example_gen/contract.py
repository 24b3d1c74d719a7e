"""Requirements that every record must meet, without TensorFlow; `record_checks` validates records against them.

A contract names columns, not features and labels, so ExampleGen's cache key doesn't follow the code of those.
`label_contracts.contract_of` makes the contract before the step runs."""

from typing import Literal

from hubline.core.config_base import Section
from hubline.preprocessing.kinds.stored_pixels import PixelNumbers, Stored


class Boxes(Section):
    """Columns of boxes, one box for each value of the label."""

    sides: tuple[str, ...]
    """One column with all four numbers, or one column each for top, left, bottom and right."""
    size: tuple[str, ...] = ()
    """Columns with the image's height and width if boxes are in pixels; empty if they are in fractions of the image."""


class Contract(Section):
    """Required columns, each with one value unless stated otherwise, and their valid values."""

    images: tuple[str, ...]
    """Columns of images."""
    pixels: tuple[tuple[str, Stored], ...] = ()
    """The image columns that hold pixels rather than encoded images, with how they do."""
    clips: tuple[str, ...] = ()
    """The image columns that hold the frames of a clip; at least one frame each."""
    sounds: tuple[str, ...] = ()
    """Columns of encoded sounds."""
    masks: tuple[str, ...] = ()
    """Columns of encoded masks."""
    label: str | None = None
    """Column of a class or multi-label label."""
    several: bool = False
    """Whether a record may have any number of classes, including none."""
    classes: tuple[str, ...] | None = None
    """Class names: a string label is one of them, an integer label is an index. None if any value is valid. Without a
    `label` column, the column in `numbers` may hold these names instead of numbers."""
    numbers: tuple[str, ...] = ()
    """Numeric columns from which the label is computed."""
    positive: bool = False
    """Whether these must be above 0."""
    indicators: bool = False
    """Whether these must be 0 or 1."""
    weight: str | None = None
    """Column of the record's weight in the loss: at least 0."""
    group: str | None = None
    """Column of the group that the record stays together with in a split: a text or an integer."""
    stratify: str | None = None
    """Column of the class that is split in exact sizes: a text or an integer."""
    boxes: Boxes | None = None
    """Box columns, if the label has one box per value and at least one value. A string label may then contain other
    classes besides the listed ones."""

    @property
    def typed(self) -> tuple[str, ...]:
        """Columns of numbers, and those that decide on splits, whose dtypes `ColumnTypes` records."""
        of_boxes = (*self.boxes.sides, *self.boxes.size) if self.boxes else ()
        of_images = [name for name, stored in self.pixels if isinstance(stored, PixelNumbers)]
        others = filter(None, (self.weight, self.group, self.stratify))
        columns = dict.fromkeys((*self.numbers, *of_boxes, *of_images, *others))
        return tuple(name for name in columns if name != self.label)


class ColumnTypes(Section):
    """The dtypes of a file's records."""

    label: Literal["string", "int64", ""] = "int64"
    """Dtype of class labels; empty while unknown, because all records so far have empty labels."""
    numbers: tuple[Literal["string", "int64", "float32"], ...] = ()
    """Dtypes of the contract's `typed` columns."""

    def dtypes(self, contract: Contract) -> dict[str, str]:
        """The dtypes by column."""
        of_numbers: dict[str, str] = dict(zip(contract.typed, self.numbers, strict=True))
        return of_numbers | ({contract.label: self.label} if contract.label else {})
