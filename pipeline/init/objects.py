"""Labels of objects in images: boxes with classes, and masks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from hubline.core.errors import UserError
from hubline.pipeline.init.column_profile import ColumnProfile, ModuleProfile
from hubline.pipeline.init.kinds import Settings, shown
from hubline.pipeline.init.label import LabelSuggestion, named_classes
from hubline.trainer.labels import class_and_box, pixels

BOXES, BOX_LABELS = "boxes", "box_labels"
"""Columns of boxes and of their classes, as `hubline convert boxes` writes them."""
PART = "part of the label's objects: it would reveal the answer"
_SIDES = {"top": "ymin", "left": "xmin", "bottom": "ymax", "right": "xmax"}
_CLASSES = re.compile(r"(?P<object>.+)/class/(text|label)")
"""Classes of objects as TensorFlow's object detection API names them: `image/object/class/text`, beside
`image/object/bbox/ymin` and so on."""
_MASK = re.compile(r"mask|segment|annotation", re.IGNORECASE)
_NO_CLASS, _MOST_CLASSES = 255, 100


@dataclass(frozen=True)
class Boxes:
    """Columns of the boxes that belong to a column of classes."""

    setting: str | Settings
    """Value of `box` in the label's section."""
    names: frozenset[str]
    """The columns, and others that describe the same objects."""


def names_objects(columns: Sequence[ColumnProfile]) -> list[str]:
    """The columns that could be a label of objects without being named: classes beside boxes, and masks."""
    classes = [column.name for column in columns if boxes_of(column, columns)]
    texts = [name for name in classes if not name.endswith("/class/label")]
    masks = [column.name for column in columns if _MASK.search(column.name) and _may_be_mask(column)]
    pictures = sum(column.type == "image" for column in columns)
    return (texts or classes) + (masks if pictures > len(masks) else [])


def boxes_of(target: ColumnProfile, columns: Sequence[ColumnProfile]) -> Boxes | None:
    """The boxes of the objects whose classes a column holds; None if there are none, or not one box per object."""
    if target.type not in ("text", "integer"):
        return None
    by_name = {column.name: column for column in columns}
    if target.name == BOX_LABELS and BOXES in by_name:
        return Boxes(BOXES, frozenset([BOXES])) if _are_shares(by_name[BOXES], 4 * target.values) else None
    match = _CLASSES.fullmatch(target.name)
    if match is None:
        return None
    sides = {side: f"{match['object']}/bbox/{name}" for side, name in _SIDES.items()}
    if not all(name in by_name and _are_shares(by_name[name], target.values) for name in sides.values()):
        return None
    return Boxes(sides, frozenset(name for name in by_name if name.startswith(f"{match['object']}/")))


def suggest_box(column: ColumnProfile, boxes: Boxes, image: str, is_whole: bool) -> LabelSuggestion:
    """A label for one object per image, with class and box.

    Args:
        column: Profile of the class column.
        boxes: The objects' boxes.
        image: Image feature.
        is_whole: Whether all records were read.
    """
    settings, comment = named_classes(column, is_whole)
    value, count = column.frequent[0]
    several = (
        f"up to {column.most} objects in a picture, of which the one with the largest box counts; `classes` may name "
        "fewer classes, and other objects are then ignored"
    )
    share = f"{count / column.values:.1%} of the {'records' if column.is_single else 'objects'}"
    return LabelSuggestion(
        {"from": column.name, "kind": "class_and_box", "box": boxes.setting, "image": image, **settings},
        f"{'one object in each picture' if column.is_single else several}; {comment}",
        f"always saying {shown(value)}, the most frequent class, is right in {share}",
        class_and_box.TRAINING.metrics[:3],
        {"mean_iou": {"no_worse_than_serving_by": 0.01}},
    )


def suggest_mask(column: ColumnProfile, image: str, module: ModuleProfile | None) -> LabelSuggestion:
    """A label with a class per pixel.

    Args:
        column: Profile of the column of masks.
        image: Image feature.
        module: Module that makes feature maps of the images.

    Raises:
        UserError: if the column holds no masks, or there is no module with feature maps.
    """
    values = column.pictures.values if column.pictures else None
    if values is None:
        raise UserError(
            f"the label '{column.name}' has images; a mask is a PNG, grey or with a palette, whose pixels are class "
            "numbers"
        )
    numbers = [value for value in values if value != _NO_CLASS]
    count = max(numbers, default=0) + 1
    if not 2 <= count <= _MOST_CLASSES:
        raise UserError(
            f"the label '{column.name}' has images with the pixel values {_listed(values)}; a mask holds class numbers "
            f"from 0 to at most {_MOST_CLASSES - 1}, and {_NO_CLASS} for pixels without a class"
        )
    if module is None or not module.maps:
        has = f"{module.handle} has none" if module else "pass --hub HANDLE"
        raise UserError(
            f"the label '{column.name}' has masks, and a label of kind pixels needs the feature maps of a hub module, "
            f"[batch, height, width, channels]; {has}"
        )
    ignored = {"ignore": _NO_CLASS} if _NO_CLASS in values else {}
    of_ignored = f"; {_NO_CLASS} marks pixels without a class" if ignored else ""
    return LabelSuggestion(
        {
            "from": column.name,
            "kind": "pixels",
            "image": image,
            "classes": [f"class {number}" for number in range(count)],
            **ignored,
        },
        f"the class of each pixel; `classes` stand for 0, 1 and so on, and want better names{of_ignored}",
        None,
        pixels.TRAINING.metrics[:2],
        {"mean_iou": {"no_worse_than_serving_by": 0.01}},
    )


def _are_shares(column: ColumnProfile, count: int) -> bool:
    """Whether a column has so many fractions of an image's sides."""
    is_float = column.type == "float" and column.numbers is not None and column.values == count
    return bool(is_float and column.numbers and column.numbers.minimum >= 0 and column.numbers.maximum <= 1)


def _may_be_mask(column: ColumnProfile) -> bool:
    return column.pictures is not None and column.pictures.values is not None


def _listed(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:6])) + (f", … {values[-1]}" if len(values) > 6 else "")
