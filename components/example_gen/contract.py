"""Requirements that every record must meet, and validation of records."""

import difflib
import math
import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
import tensorflow as tf

from hubline.core.config_base import Section
from hubline.core.errors import DataError
from hubline.preprocessing import masks
from hubline.preprocessing.config import Features, Label, clip_columns, image_columns
from hubline.preprocessing.encoded_images import are_readable, format_fault
from hubline.preprocessing.labels.class_and_box import ROUNDING, ClassAndBoxLabel
from hubline.preprocessing.labels.classes import ClassLabel
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.labels.regression import RegressionLabel

_NO_COLUMN = "hubline.none"


_SIDES = ("top", "left", "bottom", "right")


class Boxes(Section):
    """Columns of boxes, one box for each value of the label."""

    sides: tuple[str, ...]
    """One column with all four numbers, or one column each for top, left, bottom and right."""
    size: tuple[str, ...] = ()
    """Columns with the image's height and width if boxes are in pixels; empty if they are in fractions of the image."""


class Contract(Section):
    """Required columns, each with one value unless stated otherwise, and their valid values."""

    images: tuple[str, ...]
    """Columns of encoded images."""
    clips: tuple[str, ...] = ()
    """The image columns that hold the frames of a clip; at least one frame each."""
    masks: tuple[str, ...] = ()
    """Columns of encoded masks."""
    label: str | None = None
    """Column of a class or multi-label label."""
    several: bool = False
    """Whether a record may have any number of classes, including none."""
    classes: tuple[str, ...] | None = None
    """Class names: a string label is one of them, an integer label is an index. None if any value is valid."""
    numbers: tuple[str, ...] = ()
    """Numeric columns from which the label is computed."""
    positive: bool = False
    """Whether these must be above 0."""
    indicators: bool = False
    """Whether these must be 0 or 1."""
    boxes: Boxes | None = None
    """Box columns, if the label has one box per value and at least one value. A string label may then contain other
    classes besides the listed ones."""

    @property
    def typed(self) -> tuple[str, ...]:
        """Numeric columns, whose dtypes `Kind` records."""
        return (*self.numbers, *self.boxes.sides, *self.boxes.size) if self.boxes else self.numbers

    @classmethod
    def of(cls, features: Features, label: Label | None) -> "Contract":
        """The contract for features and, if given, a label."""
        images, clips = tuple(sorted(image_columns(features))), tuple(sorted(clip_columns(features)))
        if label is None:
            return cls(images=images, clips=clips)
        if isinstance(label, ClassLabel):
            return cls(images=images, clips=clips, label=label.column, classes=label.classes)
        if isinstance(label, PixelsLabel):
            return cls(images=images, masks=label.masks)
        if isinstance(label, ClassAndBoxLabel):
            boxes = Boxes(sides=label.sides, size=label.size)
            return cls(images=images, clips=clips, label=label.column, several=True, classes=label.classes, boxes=boxes)
        if isinstance(label, MultilabelLabel) and label.column:
            return cls(images=images, clips=clips, label=label.column, several=True, classes=label.classes)
        if isinstance(label, MultilabelLabel):
            return cls(images=images, clips=clips, numbers=label.columns, indicators=True)
        positive = isinstance(label, RegressionLabel) and label.is_positive
        return cls(images=images, clips=clips, numbers=label.columns, positive=positive)


class Kind(Section):
    """The dtypes of a file's records."""

    label: Literal["string", "int64", ""] = "int64"
    """Dtype of class labels; empty while unknown, because all records so far have empty labels."""
    numbers: tuple[Literal["int64", "float32"], ...] = ()
    """Dtypes of the contract's `typed` columns."""


def kind_of(record: bytes, contract: Contract, before: Kind | None = None) -> Kind:
    """Determines the dtypes of a file's records.

    Args:
        record: A serialized record that meets the contract.
        contract: The contract.
        before: Dtypes known from earlier records, if any; this record may complete them.
    """
    if before is not None and before.label:
        return before
    columns = columns_of(record)
    return Kind(
        label=_label_type(columns, contract.label) if contract.label else "int64",
        numbers=tuple(_number_type(columns[name]) for name in contract.typed),
    )


def _label_type(columns: Mapping, name: str) -> Literal["string", "int64", ""]:
    """Dtype of a list, which may be empty."""
    if name in columns and columns[name].HasField("bytes_list"):
        return "string"
    return "int64" if name in columns and columns[name].HasField("int64_list") else ""


def columns_of(record: bytes) -> Mapping[str, tf.train.Feature]:
    """Parses a serialized record; flattens SequenceExamples as `examples.flattened` does.

    Raises:
        DataError: if it is not a record, or cannot be flattened.
    """
    try:
        # An Example's features and a SequenceExample's context are the same field, of the same type, on the wire.
        sequence = tf.train.SequenceExample.FromString(record)
    except Exception as error:  # the exception type depends on the protobuf version
        raise DataError(f"not a tf.Example ({error})") from error
    columns, lists = sequence.context.feature, sequence.feature_lists.feature_list
    twice = sorted(set(columns) & set(lists))
    if twice:
        raise DataError(f"its column '{twice[0]}' is both in its context and among its feature lists; rename one")
    for name, steps in sorted(lists.items()):
        with_values = [step for step in steps.feature if _list(step)]
        types = sorted({step.WhichOneof("kind") for step in with_values})
        if len(types) > 1:
            raise DataError(f"the steps of its feature list '{name}' are of several types: {', '.join(types)}")
        for step in with_values:
            columns[name].MergeFrom(step)
    return columns


def _number_type(feature: tf.train.Feature) -> Literal["int64", "float32"]:
    return "int64" if feature.WhichOneof("kind") == "int64_list" else "float32"


def are_sound(records: tf.Tensor, contract: Contract, kind: Kind) -> tf.Tensor:
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
    dtypes = {name: tf.string for name in (*contract.images, *contract.masks)}
    dtypes |= {name: tf.as_dtype(dtype) for name, dtype in zip(contract.typed, kind.numbers, strict=True)}
    if contract.label:
        dtypes[contract.label] = tf.as_dtype(kind.label or "string")  # any dtype will do while all are empty
    spec = {name: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64) for name, dtype in dtypes.items()}
    if not spec:  # still detects what is not a tf.Example
        return tf.io.parse_example(records, {_NO_COLUMN: tf.io.RaggedFeature(tf.int64)})[_NO_COLUMN].row_lengths() >= 0
    parsed = tf.io.parse_example(records, spec)
    sound = tf.ones_like(records, tf.bool)
    if contract.label:
        labels = parsed[contract.label]
        others_are_fit = contract.boxes is not None and labels.dtype == tf.string
        fit = _are_labels(labels.values, None if others_are_fit else contract.classes)
        sound &= _all(labels, fit) if contract.several else _single(labels, fit)
        if contract.boxes:
            sound &= _have_boxes(labels, parsed, contract.boxes)
            sound &= tf.reduce_any(labels.with_values(_are_labels(labels.values, contract.classes)), axis=1)
    for name in contract.numbers:
        numbers = tf.cast(parsed[name].values, tf.float32)
        fit = tf.math.is_finite(numbers)
        if contract.positive:
            fit &= numbers > 0
        if contract.indicators:
            fit &= (numbers == 0) | (numbers == 1)
        sound &= _single(parsed[name], fit)
    for name in contract.images:
        fit = are_readable(parsed[name].values)
        if name in contract.clips:
            sound &= (parsed[name].row_lengths() > 0) & _all(parsed[name], fit)
        else:
            sound &= _single(parsed[name], fit)
    for name in contract.masks:
        sound &= _single(parsed[name], _are_masks(parsed[name].values))
    return sound


def _single(column: tf.RaggedTensor, fit: tf.Tensor) -> tf.Tensor:
    """Rows with exactly one value, which must be valid. `fit` covers the values of all rows, concatenated."""
    # An empty last row starts behind the last value; the appended False stands in for it.
    first = tf.gather(tf.concat([fit, [False]], axis=0), column.row_starts())
    return (column.row_lengths() == 1) & first


def _all(column: tf.RaggedTensor, fit: tf.Tensor) -> tf.Tensor:
    """Rows in which every value is valid, including empty rows."""
    return tf.reduce_all(column.with_values(fit), axis=1)


def _have_boxes(labels: tf.RaggedTensor, parsed: Mapping[str, tf.RaggedTensor], boxes: Boxes) -> tf.Tensor:
    """Rows with one box for each label, all inside the image."""
    per_object = 4 // len(boxes.sides)
    lengths = [parsed[name].row_lengths() == per_object * labels.row_lengths() for name in boxes.sides]
    sizes = [tf.cast(parsed[name].values, tf.float32) for name in boxes.size]
    fit = [tf.math.is_finite(size) & (size > 0) for size in sizes]
    lengths += [_single(parsed[name], each) for name, each in zip(boxes.size, fit, strict=True)]
    even = tf.reduce_all(tf.stack(lengths), axis=0)

    rows = tf.where(even)[:, 0]  # in the other rows, numbers can't be assigned to boxes
    numbers = {name: tf.cast(tf.gather(parsed[name], rows).values, tf.float32) for name in (*boxes.sides, *boxes.size)}
    flat = [numbers[name] for name in boxes.sides]
    shares = tf.reshape(flat[0], [-1, 4]) if len(flat) == 1 else tf.stack(flat, axis=1)
    objects = tf.gather(labels, rows)
    if boxes.size:
        size = tf.stack([numbers[name] for name in boxes.size], axis=1)
        shares /= tf.tile(tf.gather(size, objects.value_rowids()), [1, 2])
    inside = tf.reduce_all((shares >= -ROUNDING) & (shares <= 1 + ROUNDING), axis=1)  # False for NaN
    cut = tf.clip_by_value(shares, 0.0, 1.0)
    are_boxes = inside & (cut[:, 0] < cut[:, 2]) & (cut[:, 1] < cut[:, 3])
    of_rows = tf.reduce_all(objects.with_values(are_boxes), axis=1)
    return tf.scatter_nd(rows[:, tf.newaxis], of_rows, tf.shape(even, tf.int64))


def _are_labels(labels: tf.Tensor, classes: tuple[str, ...] | None) -> tf.Tensor:
    if labels.dtype != tf.string:
        return (labels >= 0) & (labels < len(classes)) if classes is not None else tf.ones_like(labels, tf.bool)
    # Valid names are non-empty UTF-8 without line breaks; transcoding doesn't change valid UTF-8.
    same = tf.strings.unicode_transcode(labels, "UTF-8", "UTF-8") == labels
    fit = same & tf.strings.regex_full_match(labels, r"[^\r\n]+")
    if classes is not None:
        fit &= tf.reduce_any(labels[:, tf.newaxis] == tf.constant(list(classes)), axis=1)
    return fit


def _are_masks(encoded: tf.Tensor) -> tf.Tensor:
    headers = tf.strings.substr(encoded, 0, masks.HEADER)
    samples = tf.strings.substr(headers + b"\0" * masks.HEADER, masks.DEPTH, 2)  # zeros if too short
    of_numbers = [bytes([depth, colour]) for depth in masks.DEPTHS for colour in (masks.GREY, masks.PALETTE)]
    are_pngs = tf.strings.substr(headers, 0, len(masks.MAGIC)) == masks.MAGIC
    long_enough = tf.strings.length(encoded) > masks.HEADER
    return are_pngs & long_enough & tf.reduce_any(samples[:, tf.newaxis] == tf.constant(of_numbers), axis=1)


def find_fault(record: bytes, contract: Contract, kind: Kind | None = None) -> str | None:
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
    for column in contract.images:
        fault = _clip_fault(columns, column) if column in contract.clips else _image_fault(columns, column)
        if fault:
            return fault
    for column in contract.masks:
        fault = _mask_fault(columns, column)
        if fault:
            return fault
    for number, column in enumerate(contract.numbers):
        fault = _number_fault(columns, column, kind.numbers[number] if kind else None, contract)
        if fault:
            return fault
    fault = _label_fault(columns, contract.label, contract, kind) if contract.label else None
    return fault or (
        _box_fault(columns, contract.label or "", contract.boxes, contract, kind) if contract.boxes else None
    )


def _list(feature: tf.train.Feature) -> list:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def _values(columns: Mapping, name: str) -> list:
    return _list(columns[name]) if name in columns else []


def _count_fault(columns: Mapping, name: str, what: str) -> str | None:
    values = _values(columns, name)
    if len(values) == 1:
        return None
    if values:
        return f"its {what} '{name}' has {len(values)} values; it must have one"
    if name in columns:
        return f"its {what} '{name}' has no value"
    # A condition such as a-b > 1 refers to columns a and b, but the column a-b may have been meant.
    parts = [column for column in sorted(columns) if name in re.split(r"\W+", column)]
    close = [*difflib.get_close_matches(name, columns, n=1, cutoff=0.7), *parts]
    quoted = "" if not close or close[0].isidentifier() else " (where: takes such a name in double quotes)"
    meant = f"; did you mean '{close[0]}'{quoted}? Its" if close else "; its"
    return f"it has no {what} '{name}'{meant} columns are: {', '.join(sorted(columns)) or 'none'}"


def _image_fault(columns: Mapping, name: str) -> str | None:
    fault = _count_fault(columns, name, "image")
    if fault:
        return fault
    (value,) = _values(columns, name)
    return _encoded_fault(value, f"its image '{name}'")


def _clip_fault(columns: Mapping, name: str) -> str | None:
    frames = _values(columns, name)
    if not frames:
        return f"its clip '{name}' has no frames" if name in columns else _count_fault(columns, name, "clip")
    faults = (_encoded_fault(frame, f"frame {n} of its clip '{name}'") for n, frame in enumerate(frames))
    return next(filter(None, faults), None)


def _encoded_fault(value: bytes | float, what: str) -> str | None:
    if not isinstance(value, bytes):
        return f"{what} is a number; it must be the bytes of an encoded image"
    fault = format_fault(value)
    return f"{what} {fault}" if fault else None


_SAMPLES = {0: "grey", 2: "RGB", 3: "palette", 4: "grey with alpha", 6: "RGB with alpha"}
"""Colour types of PNGs, by their code."""


def _mask_fault(columns: Mapping, name: str) -> str | None:
    fault = _count_fault(columns, name, "mask")
    if fault:
        return fault
    (value,) = _values(columns, name)
    right = "it must be a PNG that is grey or has a palette, with the number of a class for each pixel"
    if not isinstance(value, bytes):
        return f"its mask '{name}' is a number; {right}"
    if not value.startswith(masks.MAGIC) or len(value) <= masks.HEADER:
        return f"its mask '{name}' is no PNG: it begins with {value[:8]!r}; {right}"
    depth, colour = value[masks.DEPTH], value[masks.COLOUR]
    if depth not in masks.DEPTHS or colour not in (masks.GREY, masks.PALETTE):
        return f"its mask '{name}' is a PNG of {depth} bits a sample, {_SAMPLES.get(colour, 'unknown')}; {right}"
    return None


def _number_fault(columns: Mapping, name: str, dtype: str | None, contract: Contract) -> str | None:
    fault = _count_fault(columns, name, "column")
    if fault:
        return f"{fault}; the label is made from it"
    (value,) = _values(columns, name)
    if isinstance(value, bytes):
        right = "it must be a number; texts are for kind: class"
        return f"its column '{name}', which the label is made from, is {value!r}; {right}"
    if dtype is not None and _number_type(columns[name]) != dtype:
        return f"its column '{name}' is {value!r}, of another type than those before it"
    if not math.isfinite(value):
        return f"its column '{name}', which the label is made from, is {value}"
    if contract.positive and value <= 0:
        return f"its column '{name}', which the label is the logarithm of, is {value:g}; it must be above 0"
    if contract.indicators and value not in (0, 1):
        return f"its column '{name}', which says whether it is of a class, is {value:g}; it must be 0 or 1"
    return None


def _box_fault(columns: Mapping, label: str, boxes: Boxes, contract: Contract, kind: Kind | None) -> str | None:
    objects = len(_values(columns, label))
    if not objects:
        empty = f"its label '{label}' is empty: there is no object in the picture"
        return empty if label in columns else _count_fault(columns, label, "label")
    expected = dict.fromkeys(boxes.sides, 4 // len(boxes.sides) * objects) | dict.fromkeys(boxes.size, 1)
    dtypes = dict(zip(contract.typed, kind.numbers, strict=True)) if kind else {}
    for name, count in expected.items():
        fault = _coordinates_fault(columns, name, count, objects, dtypes.get(name))
        if fault:
            return fault
    size = [_float32(_values(columns, name)[0]) for name in boxes.size]
    for name, length in zip(boxes.size, size, strict=True):
        if not (math.isfinite(length) and length > 0):
            return f"its column '{name}', a side of the picture in pixels, is {length:g}; it must be above 0"
    flat = [_values(columns, name) for name in boxes.sides]
    each = zip(*flat, strict=True) if len(flat) == 4 else zip(*(flat[0][side::4] for side in range(4)), strict=True)
    for number, box in enumerate(each, start=1):
        fault = _place_fault([_float32(value) for value in box], size)
        if fault:
            shown = ", ".join(f"{side} {value:g}" for side, value in zip(_SIDES, box, strict=True))
            return f"its box {number} of {objects}, in {', '.join(map(repr, boxes.sides))}, {fault}: {shown}"
    values = _values(columns, label)
    if contract.classes and all(_class_fault(label, value, contract.classes) for value in values):
        found = ", ".join(sorted({value.decode(errors="replace") for value in values}))
        return (
            f"none of its {objects} objects is of the classes {_listed(contract.classes)}; its '{label}' has: {found}"
        )
    return None


def _coordinates_fault(columns: Mapping, name: str, count: int, objects: int, dtype: str | None) -> str | None:
    values = _values(columns, name)
    if not values:
        return f"{_count_fault(columns, name, 'column')}; the label's boxes are made from it"
    if isinstance(values[0], bytes):
        return f"its column '{name}', which the label's boxes are made from, holds texts; it must hold numbers"
    if dtype is not None and _number_type(columns[name]) != dtype:
        return f"its column '{name}' has {_number_type(columns[name])} values, and those before it have {dtype}"
    if len(values) != count:
        return f"its column '{name}' has {len(values)} numbers for {objects} objects; it must have {count}"
    return None


def _place_fault(box: list[float], size: list[float]) -> str | None:
    """Describes the fault of a box, in pixels of an image of the given size, or in fractions if `size` is empty."""
    if not all(map(math.isfinite, box)):
        return "is not finite"
    shares = [_float32(value / side) for value, side in zip(box, 2 * size, strict=True)] if size else box
    if box[0] > box[2] or box[1] > box[3]:
        return "is upside down"
    if not (min(shares) >= _float32(-ROUNDING) and max(shares) <= _float32(1 + ROUNDING)):
        if size:
            return f"is outside the picture of {size[1]:g}x{size[0]:g} pixels"
        pixels = "; for coordinates in pixels, say units: pixels" if max(shares) > 2 else ""
        return f"is outside the picture, which is from 0 to 1{pixels}"
    top, left, bottom, right = (min(max(share, 0.0), 1.0) for share in shares)
    return None if top < bottom and left < right else "has no area in the picture"


def _float32(value: float) -> float:
    """Rounds as TensorFlow does."""
    return float(np.float32(value))


def _label_fault(columns: Mapping, name: str, contract: Contract, kind: Kind | None) -> str | None:
    fault = None if contract.several else _count_fault(columns, name, "label")
    if fault:
        return fault
    dtype, values = _label_type(columns, name), _values(columns, name)
    if name in columns and columns[name].HasField("float_list"):
        shown = f"the float {values[0]:g}" if values else "an empty list of floats"
        return f"its label '{name}' is {shown}; a class is an integer or a string, and kind: regression a number"
    if kind is not None and kind.label and dtype not in (kind.label, ""):
        shown = repr(values[0]) if values else f"an empty list of type {dtype}"
        return f"its label '{name}' is {shown}, of another type than the labels before it"
    # If there are several objects, some may belong to other classes; `_box_fault` handles that.
    classes = None if contract.boxes and dtype == "string" else contract.classes
    return next((fault for value in values if (fault := _class_fault(name, value, classes))), None)


def _class_fault(name: str, value: bytes | int, classes: tuple[str, ...] | None) -> str | None:
    if isinstance(value, bytes) and not _is_name(value):
        return f"its label '{name}' is {value!r}; a class name is a line of UTF-8 text, and not empty"
    if classes is None:
        return None
    if isinstance(value, bytes):
        shown = value.decode(errors="replace")
        return None if shown in classes else f"its label '{name}' is '{shown}', none of the classes {_listed(classes)}"
    return None if 0 <= value < len(classes) else f"its label '{name}' is {value}, outside 0 to {len(classes) - 1}"


def _is_name(value: bytes) -> bool:
    try:
        return bool(value.decode()) and not {b"\r"[0], b"\n"[0]} & set(value)
    except UnicodeDecodeError:
        return False


def _listed(classes: tuple[str, ...], most: int = 12) -> str:
    return ", ".join(classes[:most]) + (f" and {len(classes) - most} more" if len(classes) > most else "")
