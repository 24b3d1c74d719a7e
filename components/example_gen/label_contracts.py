"""The contract of records that features and a label ask for."""

from collections.abc import Callable
from typing import Any

from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.contract import Contract
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.feature_columns import clip_columns, image_columns, sound_columns, stored_pixels
from hubline.preprocessing.labels.binary import BinaryLabel
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel
from hubline.preprocessing.labels.classes import ClassLabel
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.preprocessing.labels.parts import LabelParts
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.labels.regression import RegressionLabel


def _class(label: ClassLabel) -> dict[str, Any]:
    return {"label": label.column, "classes": label.classes}


def _binary(label: BinaryLabel) -> dict[str, Any]:
    return {"numbers": label.columns} | ({"classes": label.classes} if label.may_be_names else {})


def _multilabel(label: MultilabelLabel) -> dict[str, Any]:
    if label.column:
        return {"label": label.column, "several": True, "classes": label.classes}
    return {"numbers": label.columns, "indicators": True}


def _regression(label: RegressionLabel) -> dict[str, Any]:
    return {"numbers": label.columns, "positive": label.is_positive}


def _class_and_box(label: ClassAndBoxLabel) -> dict[str, Any]:
    boxes = {"sides": label.sides, "size": label.size}
    return {"label": label.column, "several": True, "classes": label.classes, "boxes": boxes}


def _pixels(label: PixelsLabel) -> dict[str, Any]:
    return {"masks": label.masks}


CONTRACTS = LabelParts[Callable[[Any], dict[str, Any]]](
    "contract of records, in components/example_gen/label_contracts.py",
    {
        "class": _class,
        "binary": _binary,
        "multilabel": _multilabel,
        "regression": _regression,
        "class_and_box": _class_and_box,
        "pixels": _pixels,
    },
)
"""The fields of `Contract` that a label determines."""


def contract_of(
    features: Features, label: Label | None, weight: str | None = None, split: HashSplit | None = None
) -> Contract:
    """The contract for features and, if given, a label, a column of sample weights and a split by hash."""
    images, clips = tuple(sorted(image_columns(features))), tuple(sorted(clip_columns(features)))
    of_label = CONTRACTS.of(label.kind)(label) if label else {}
    pixels = tuple(sorted(stored_pixels(features).items()))
    sounds = tuple(sorted(sound_columns(features)))
    given = {"images": images, "clips": clips, "pixels": pixels, "sounds": sounds, "weight": weight}
    given |= {"group": split.group, "stratify": split.stratify} if split else {}
    return Contract.model_validate(given | of_label)
