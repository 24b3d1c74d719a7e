"""The rule of boxes, one for each value of the label."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from hubline.components.example_gen.records import count_fault, number_type, values_of
from hubline.components.example_gen.rules.classes import listed, name_in
from hubline.components.example_gen.rules.rule import Condition, Rule, all_hold, broken, single

ROUNDING = 0.01
"""Fraction of the image by which a box may extend beyond it, for coordinates that were rounded or count from 1. The
label clips the box."""
_SIDES = ("top", "left", "bottom", "right")
_FAR_OUTSIDE = 2
"""Coordinates above this are probably in pixels."""

_LENGTH = Condition(
    lambda sizes: tf.math.is_finite(tf.cast(sizes, tf.float32)) & (tf.cast(sizes, tf.float32) > 0),
    lambda value: f"{float(value):g}; it must be above 0",
)


def _inside(shares: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all((shares >= -ROUNDING) & (shares <= 1 + ROUNDING), axis=1)  # False for NaN


def _have_area(shares: tf.Tensor) -> tf.Tensor:
    cut = tf.clip_by_value(shares, 0.0, 1.0)
    return (cut[:, 0] < cut[:, 2]) & (cut[:, 1] < cut[:, 3])


def _outside(shares: Any) -> str:
    pixels = "; for coordinates in pixels, say units: pixels" if max(shares) > _FAR_OUTSIDE else ""
    return f"is outside the picture, which is from 0 to 1{pixels}"


_BOX = [
    Condition(lambda shares: tf.reduce_all(tf.math.is_finite(shares), axis=1), lambda _: "is not finite"),
    Condition(
        lambda shares: (shares[:, 0] <= shares[:, 2]) & (shares[:, 1] <= shares[:, 3]), lambda _: "is upside down"
    ),
    Condition(_inside, _outside),
    Condition(_have_area, lambda _: "has no area in the picture"),
]
"""Conditions on boxes in fractions of the image, float32 [n, 4]."""


@dataclass(frozen=True)
class BoxRule(Rule):
    """A record has at least one object, each with a box inside the image; at least one object is of a listed class."""

    label: str
    """Column of the objects' classes."""
    sides: tuple[str, ...]
    """One column with all four numbers, or one column each for top, left, bottom and right."""
    size: tuple[str, ...] = ()
    """Columns with the image's height and width if boxes are in pixels; empty if they are in fractions of the image."""
    classes: tuple[str, ...] | None = None
    """The class names, if given."""

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """The dtypes of this file."""
        numbers = {name: tf.as_dtype(known[name]) for name in (*self.sides, *self.size)}
        return numbers | {self.label: tf.as_dtype(known.get(self.label) or "string")}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the counts, the image's size, each box, and the classes."""
        labels = parsed[self.label]
        lengths = [parsed[name].row_lengths() == self._count(labels.row_lengths()) for name in self.sides]
        lengths += [single(parsed[name], all_hold([_LENGTH], parsed[name].values)) for name in self.size]
        even = tf.reduce_all(tf.stack(lengths), axis=0)

        rows = tf.where(even)[:, 0]  # in the other rows, numbers can't be assigned to boxes
        numbers = {
            name: tf.cast(tf.gather(parsed[name], rows).values, tf.float32) for name in (*self.sides, *self.size)
        }
        flat = [numbers[name] for name in self.sides]
        objects = tf.gather(labels, rows)
        size = tf.stack([numbers[name] for name in self.size], axis=1) if self.size else None
        shares = _shares(flat, None if size is None else tf.gather(size, objects.value_rowids()))
        of_boxes = _are_boxes(shares)
        of_rows = tf.reduce_all(objects.with_values(of_boxes), axis=1)
        have_boxes = tf.scatter_nd(rows[:, tf.newaxis], of_rows, tf.shape(even, tf.int64))
        return have_boxes & tf.reduce_any(labels.with_values(self._are_of_classes(labels.values)), axis=1)

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the same. Names the first bad box."""
        labels = values_of(columns, self.label)
        if not labels:
            empty = f"its label '{self.label}' is empty: there is no object in the picture"
            return empty if self.label in columns else count_fault(columns, self.label, "label")
        expected = dict.fromkeys(self.sides, self._count(len(labels))) | dict.fromkeys(self.size, 1)
        for name, count in expected.items():
            if fault := _coordinates_fault(columns, name, count, len(labels), known.get(name)):
                return fault
        for name in self.size:
            if fault := broken([_LENGTH], values_of(columns, name)[0]):
                return f"its column '{name}', a side of the picture in pixels, is {fault}"
        return self._box_fault(columns, len(labels)) or self._class_fault(labels)

    def _count(self, objects: Any) -> Any:
        """Number of values in each column of sides."""
        return 4 // len(self.sides) * objects

    def _are_of_classes(self, labels: tf.Tensor) -> tf.Tensor:
        if self.classes is None or labels.dtype != tf.string:
            return tf.ones_like(labels, tf.bool)  # `ClassRule` rejects any other index
        return name_in(self.classes).holds(labels)

    def _box_fault(self, columns: Mapping[str, tf.train.Feature], objects: int) -> str | None:
        given = [_numbers(values_of(columns, name)) for name in self.sides]
        size = [_numbers(values_of(columns, name)) for name in self.size]
        shares = _shares(given, tf.repeat([tf.concat(size, axis=0)], objects, axis=0) if size else None)
        for number, box in enumerate(_shares(given, None).numpy().tolist()):
            place = shares[number : number + 1]
            fault = next((each for each in _BOX if not bool(each.holds(place)[0])), None)
            if fault:
                words = fault.words(place[0].numpy().tolist())
                if size and fault.holds is _inside:
                    height, width = (float(length[0]) for length in size)
                    words = f"is outside the picture of {width:g}x{height:g} pixels"
                shown = ", ".join(f"{side} {value:g}" for side, value in zip(_SIDES, box, strict=True))
                named = ", ".join(map(repr, self.sides))
                return f"its box {number + 1} of {objects}, in {named}, {words}: {shown}"
        return None

    def _class_fault(self, labels: list[Any]) -> str | None:
        if self.classes is None or not isinstance(labels[0], bytes):
            return None
        if bool(tf.reduce_any(self._are_of_classes(tf.constant(labels)))):
            return None
        found = ", ".join(sorted({value.decode(errors="replace") for value in labels}))
        return (
            f"none of its {len(labels)} objects is of the classes {listed(self.classes)}; its '{self.label}' has: "
            f"{found}"
        )


def _are_boxes(shares: tf.Tensor) -> tf.Tensor:
    """Whether each of the boxes, float32 [n, 4], meets all conditions, bool [n]."""
    return tf.reduce_all(tf.stack([condition.holds(shares) for condition in _BOX]), axis=0)


def _numbers(values: list[Any]) -> tf.Tensor:
    return tf.cast(tf.constant(values, tf.int64 if isinstance(values[0], int) else tf.float32), tf.float32)


def _shares(sides: list[tf.Tensor], size: tf.Tensor | None) -> tf.Tensor:
    """Boxes, float32 [n, 4], from one column or four, as fractions of the size of their images, [n, 2]."""
    boxes = tf.reshape(sides[0], [-1, 4]) if len(sides) == 1 else tf.stack(sides, axis=1)
    return boxes if size is None else boxes / tf.tile(size, [1, 2])


def _coordinates_fault(columns: Mapping, name: str, count: int, objects: int, dtype: str | None) -> str | None:
    values = values_of(columns, name)
    if not values:
        return f"{count_fault(columns, name, 'column')}; the label's boxes are made from it"
    if isinstance(values[0], bytes):
        return f"its column '{name}', which the label's boxes are made from, holds texts; it must hold numbers"
    if dtype is not None and number_type(columns[name]) != dtype:
        return f"its column '{name}' has {number_type(columns[name])} values, and those before it have {dtype}"
    if len(values) != count:
        return f"its column '{name}' has {len(values)} numbers for {objects} objects; it must have {count}"
    return None
