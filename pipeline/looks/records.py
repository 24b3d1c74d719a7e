"""Looks at the first records of the data: columns, types and values that would stop a run.

What a few records can't prove is not said: a column that they lack may be in others, and classes may follow.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

from hubline.components.config.data import Data
from hubline.components.config.splits import HashSplit
from hubline.components.example_gen.first_record import Column
from hubline.components.example_gen.label_contracts import CONTRACTS
from hubline.core.config_errors import Location, PlacedError
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.looks.sample import Sample
from hubline.preprocessing import encoded_sounds
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.encoded_images import FORMATS, IMAGE_MAGIC
from hubline.preprocessing.feature_columns import images, stored_pixels
from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.preprocessing.kinds.stored_pixels import RawPixels
from hubline.trainer.config.training import Training

Fault = Callable[[Column], str | None]
"""Says what is wrong with a column that has values."""

_GREY, _PALETTE = 0, 3
"""Color types of PNGs."""
_TEXT_LABELS = "texts are for kind: class, or binary without `above`"
_SHOWN = 12
_SHOWN_LENGTH = 40


def images_are_in_records(features: Features, sample: Sample) -> Iterator[PlacedError]:
    pixels = stored_pixels(features)
    for name, image in images(features).items() if sample.is_judged else ():
        column = image.column or name
        fault = _pixels_fault(pixels[column]) if column in pixels else _image_fault
        key = ("features", name, "from") if image.column else ("features", name)
        yield from _of_column(sample, key, column, image.kind, fault, is_list=image.kind == "video")


def sounds_are_in_records(features: Features, sample: Sample) -> Iterator[PlacedError]:
    sounds = {name: feature for name, feature in features.items() if isinstance(feature, AudioFeature)}
    for name, sound in sounds.items() if sample.is_judged else ():
        key = ("features", name, "from") if sound.column else ("features", name)
        yield from _of_column(sample, key, sound.column or name, sound.what, _sound_fault)


def the_label_is_in_records(label: Label | None, sample: Sample) -> Iterator[PlacedError]:
    if label is None or not sample.is_judged:
        return
    asked = CONTRACTS.of(label.kind)(label)
    written = label.model_dump(by_alias=True, exclude_defaults=True)
    numbers: tuple[str, ...] = asked.get("numbers", ())
    for column in dict.fromkeys((*label.required, *numbers)):
        fault = _number_fault(asked) if column in numbers else _mask_fault if column in label.masks else _nothing
        if column == asked.get("label"):
            fault = _class_fault(asked.get("classes"), "boxes" in asked)
        is_list = "boxes" in asked or bool(asked.get("several") and column == asked.get("label"))
        key = _key_of(written, column)
        yield from _of_column(sample, ("label", *key), column, "label", fault, is_list)
    if (of_class := asked.get("label")) and of_class not in label.required:
        yield from _of_classes(sample, of_class, ("label", *_key_of(written, of_class)), _class_fault(asked["classes"]))


def weights_are_in_records(training: Training, sample: Sample) -> Iterator[PlacedError]:
    if training.sample_weight and sample.is_judged:
        key = ("training", "sample_weight")
        yield from _of_column(sample, key, training.sample_weight, "sample weight", _weight_fault)


def splits_are_in_records(data: Data, label: Label | None, sample: Sample) -> Iterator[PlacedError]:
    if not isinstance(data.split, HashSplit) or not data.split.column or not sample.is_judged:
        return
    key, what = ("group", "group") if data.split.group else ("stratify", "class to stratify by")
    location = ("data", "split", key)
    if label is None or data.split.column not in label.required:
        yield from _of_column(sample, location, data.split.column, what, _key_fault)
    elif data.split.column in CONTRACTS.of(label.kind)(label).get("numbers", ()):  # floats are no mistake of the label
        yield from _of_classes(sample, data.split.column, location, _key_fault)


def _of_column(
    sample: Sample, location: Location, column: str, what: str, fault: Fault, is_list: bool = False
) -> Iterator[PlacedError]:
    """The first error in a column that every record must have."""
    for record in sample.records:
        found = record.columns.get(column)
        if found is None:
            known = nearest(column, sorted(record.columns))
            yield location, f"{record.path}: {record.name} has no {what} '{column}'; {known}"
        elif not found.values:
            said = "is empty; every record needs a value"
            yield location, f"{record.path}: the {what} '{column}' of {record.name} {said}"
        elif len(found.values) > 1 and not is_list and not _holds_pixels(found, fault):
            said = f"has {len(found.values)} values; every record needs one"
            yield location, f"{record.path}: the {what} '{column}' of {record.name} {said}"
        elif wrong := fault(found):
            yield location, f"{record.path}: the {what} '{column}' of {record.name} {wrong}"
        else:
            continue
        return


def _of_classes(sample: Sample, column: str, location: Location, fault: Fault) -> Iterator[PlacedError]:
    """The first error in a column with any number of classes."""
    for record in sample.records:
        found = record.columns.get(column)
        if found is not None and found.values and (said := fault(found)):
            yield location, f"{record.path}: the label '{column}' of {record.name} {said}"
            return


def _holds_pixels(column: Column, fault: Fault) -> bool:
    return column.type != "bytes" and getattr(fault, "counts_values", False)


def _nothing(column: Column) -> str | None:
    return None


def _image_fault(column: Column) -> str | None:
    if column.type != "bytes":
        return f"holds {_numbers(column)}; it must be {FORMATS}, or have `decode`"
    for encoded in column.values:
        if not any(encoded.startswith(magic) for magic in IMAGE_MAGIC.values()):
            return f"is not {FORMATS}: it begins with {encoded[:8]!r}"
    return None


def _sound_fault(column: Column) -> str | None:
    if column.type != "bytes":
        return f"holds {_numbers(column)}; it must be {encoded_sounds.WAV}"
    return next(filter(None, map(encoded_sounds.format_fault, column.values)), None)


def _mask_fault(column: Column) -> str | None:
    """What is wrong with masks, by the header of PNG files (https://www.w3.org/TR/png/#11IHDR)."""
    right = "a mask is a PNG, grey or with a palette, with at most 8 bits per pixel"
    if fault := _image_fault(column):
        return f"{fault}; {right}"
    for encoded in column.values:
        if not encoded.startswith(IMAGE_MAGIC["PNG"]):
            return f"is no PNG; {right}"
        depth, color = encoded[24:26] if len(encoded) > 25 else (0, 0)
        if color not in (_GREY, _PALETTE):
            return f"is a PNG in color; {right}"
        if depth > 8:
            return f"is a PNG with {depth} bits; {right}"
    return None


def _pixels_fault(stored: Any) -> Fault:
    def raw(column: Column) -> str | None:
        if column.type != "bytes":
            return f"holds {_numbers(column)}; decode kind: raw takes bytes"
        size = len(column.values[0])
        return None if size == stored.size else f"has {size:,} bytes; {stored} has {stored.size:,}"

    def numbers(column: Column) -> str | None:
        if column.type == "bytes":
            return "holds bytes; decode kind: numbers takes numbers"
        count = len(column.values)
        return None if count == stored.count else f"has {count:,} numbers; {[*stored.shape]} has {stored.count:,}"

    numbers.counts_values = True  # type: ignore[attr-defined]
    return raw if isinstance(stored, RawPixels) else numbers


def _class_fault(classes: tuple[str, ...] | None, other_names: bool = False) -> Fault:
    def fault(column: Column) -> str | None:
        if column.type == "float":
            return f"is the float {column.values[0]:g}; a class is an integer or a string, kind: regression a number"
        for value in column.values:
            if classes is None:
                return None
            if isinstance(value, bytes):
                name = value.decode(errors="replace")
                if name not in classes and not other_names:
                    return f"is '{_short(name)}', none of the classes; {nearest(name, classes[:_SHOWN])}"
            elif not 0 <= value < len(classes):
                return f"is {value}; integers are positions in `classes`, from 0 to {len(classes) - 1}"
        return None

    return fault


def _number_fault(asked: dict[str, Any]) -> Fault:
    names = None if "label" in asked else asked.get("classes")

    def fault(column: Column) -> str | None:
        value = column.values[0]
        if isinstance(value, bytes) and names is not None:
            return _class_fault(names)(column)
        if isinstance(value, bytes):
            text = _short(value.decode(errors="replace"))
            return f"is the text '{text}'; it must be a number; {_TEXT_LABELS}"
        if not math.isfinite(value):
            return f"is {value}; it must be finite"
        if asked.get("positive") and value <= 0:
            return f"is {value:g}; the logarithm needs a number above 0"
        if asked.get("indicators") and value not in (0, 1):
            return f"is {value:g}; it must be 0 or 1"
        return None

    return fault


def _weight_fault(column: Column) -> str | None:
    value = column.values[0]
    if isinstance(value, bytes):
        return f"is the text '{_short(value.decode(errors='replace'))}'; it must be a number"
    return None if math.isfinite(value) and value >= 0 else f"is {value:g}; it must be 0 or more"


def _key_fault(column: Column) -> str | None:
    value = column.values[0]
    if isinstance(value, float):
        return f"is the float {value:g}; it must be a text or an integer"
    return None if value != b"" else "is an empty text; every record needs a value"


def _key_of(section: dict[str, Any], column: str) -> Location:
    """The key of a section that names a column."""
    for key, value in section.items():
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        if value == column or column in inner or (key == "where" and column in str(value)):
            return (key,)
    return ()


def _numbers(column: Column) -> str:
    return "integers" if column.type == "int" else "floats"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


LOOKS = (images_are_in_records, sounds_are_in_records, the_label_is_in_records)
LOOKS_TO_TRAIN = (weights_are_in_records, splits_are_in_records)
