"""Requirements that every record must meet, as a table of rules, and validation of records.

A contract names columns, not features and labels, so ExampleGen's cache key doesn't follow the code of those.
`label_contracts.contract_of` makes the contract before the step runs."""

from collections.abc import Mapping
from typing import Literal

import tensorflow as tf

from hubline.components.example_gen.records import columns_of, label_type, value_type
from hubline.components.example_gen.rules.boxes import BoxRule
from hubline.components.example_gen.rules.classes import ClassRule
from hubline.components.example_gen.rules.images import ClipRule, ImageRule, MaskRule
from hubline.components.example_gen.rules.keys import KeyRule
from hubline.components.example_gen.rules.numbers import NumberRule
from hubline.components.example_gen.rules.pixels import pixel_rule
from hubline.components.example_gen.rules.rule import Rule
from hubline.components.example_gen.rules.sounds import SoundRule
from hubline.components.example_gen.rules.weights import WeightRule
from hubline.core.config_base import Section
from hubline.core.errors import DataError
from hubline.preprocessing.kinds.stored_pixels import PixelNumbers, Stored

_NO_COLUMN = "hubline.none"


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

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The table of rules. The first rule that a record breaks describes its fault."""
        rules = [self._image_rule(name) for name in self.images]
        rules += [SoundRule(name) for name in self.sounds]
        rules += [MaskRule(name) for name in self.masks]
        rules += [NumberRule(name, self.positive, self.indicators, self._names) for name in self.numbers]
        if self.weight:
            rules.append(WeightRule(self.weight))
        if self.label:
            rules.append(ClassRule(self.label, self.classes, self.several, other_names=self.boxes is not None))
        if self.label and self.boxes:
            rules.append(BoxRule(self.label, self.boxes.sides, self.boxes.size, self.classes))
        if self.group:
            rules.append(KeyRule(self.group, "group"))
        if self.stratify:
            rules.append(KeyRule(self.stratify, "class to stratify by"))
        return tuple(rules)

    @property
    def _names(self) -> tuple[str, ...] | None:
        """The class names that a column of numbers may hold instead."""
        return None if self.label else self.classes

    def _image_rule(self, column: str) -> Rule:
        if stored := dict(self.pixels).get(column):
            return pixel_rule(column, stored)
        return ClipRule(column) if column in self.clips else ImageRule(column)


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


def kind_of(record: bytes, contract: Contract, before: ColumnTypes | None = None) -> ColumnTypes:
    """Determines the dtypes of a file's records.

    Args:
        record: A serialized record that meets the contract.
        contract: The contract.
        before: Dtypes known from earlier records, if any; this record may complete them.
    """
    if before is not None and before.label:
        return before
    columns = columns_of(record)
    return ColumnTypes(
        label=label_type(columns, contract.label) if contract.label else "int64",
        numbers=tuple(value_type(columns[name]) for name in contract.typed),
    )


def are_sound(records: tf.Tensor, contract: Contract, kind: ColumnTypes) -> tf.Tensor:
    """Validates a batch of records in TensorFlow's C++. Agrees with `find_fault`, which validates one record and gives
    the reason.

    Args:
        records: Serialized `tf.Example`s, string [batch].
        contract: The contract.
        kind: Dtypes of the file's records.

    Returns:
        bool [batch].

    Raises:
        tf.errors.InvalidArgumentError: if an item is not a `tf.Example`, or a column has another dtype.
    """
    rules, known = contract.rules, kind.dtypes(contract)
    dtypes = {name: dtype for rule in rules for name, dtype in rule.dtypes(known).items()}
    if not rules:  # still detects what is not a tf.Example
        dtypes = {_NO_COLUMN: tf.int64}
    spec = {name: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64) for name, dtype in dtypes.items()}
    parsed: Mapping[str, tf.RaggedTensor] = tf.io.parse_example(records, spec)
    sound = next(iter(parsed.values())).row_lengths() >= 0
    for rule in rules:
        sound &= rule.mask(parsed)
    return sound


def find_fault(record: bytes, contract: Contract, kind: ColumnTypes | None = None) -> str | None:
    """Describes the fault of a serialized record; None if it has none.

    Args:
        record: The serialized record.
        contract: The contract.
        kind: Dtypes of earlier records of the file, if any.
    """
    try:
        columns = columns_of(record)
    except DataError as error:
        return str(error)
    known = kind.dtypes(contract) if kind else {}
    return next(filter(None, (rule.fault(columns, known) for rule in contract.rules)), None)
