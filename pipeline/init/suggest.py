"""Suggests the contents of a pipeline file from a profile of the data alone."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain, count

from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.init.bookkeeping import BOOKKEEPING, keeps_books
from hubline.pipeline.init.column_profile import ColumnProfile, DataProfile, ModuleProfile
from hubline.pipeline.init.kinds import Settings, is_few, kinds, shown
from hubline.pipeline.init.label import (
    BOX_LABELS,
    LabelSuggestion,
    box_column,
    label_column,
    suggest_box,
    suggest_label,
)
from hubline.preprocessing.feature_columns import input_name, input_names

_SHOWN = {"image": "images", "video": "clips", "text": "texts"}
SLICES = 3
"""Maximum number of slices."""
SLICED = 20
"""Maximum number of values of a column that defines slices."""
_PLACE = re.compile(
    r"(?P<before>.*?)(?<![a-z])((?P<latitude>lat(itude)?)|lon(g|gitude)?|lng)(?![a-z])(?P<after>.*)", re.IGNORECASE
)
_SIZES: tuple[tuple[float, int, int, list[int]], ...] = (
    (1_000, 200, 16, [64]),
    (10_000, 100, 32, [64]),
    (100_000, 50, 128, [128, 64]),
    (1_000_000, 15, 512, [128, 64]),
    (math.inf, 3, 2048, [256, 128]),
)
"""Upper bound of the number of records, epochs, batch size, and units of the hidden layers."""


@dataclass(frozen=True)
class FeatureSuggestion:
    """A feature, with the profile of its column as a comment."""

    name: str
    settings: Settings
    comment: str

    @property
    def needs_module(self) -> bool:
        """Whether a hub module takes the feature, rather than the model itself."""
        return self.settings["kind"] in ("image", "video") or (
            self.settings["kind"] == "text" and "bag" not in self.settings
        )


@dataclass(frozen=True)
class Suggestion:
    """Contents of a pipeline file."""

    features: list[FeatureSuggestion]
    without_module: list[FeatureSuggestion]
    """Images and clips without a module."""
    left_out: dict[str, str]
    """Columns without a feature, with reasons."""
    label: LabelSuggestion
    hubs: dict[str, Settings]
    wide: list[str]
    hidden: list[int]
    """Units of the hidden layers."""
    training: Settings
    bad_records: Settings | None
    slices: list[list[str]]


def suggest(
    data: DataProfile, label: str | None = None, module: ModuleProfile | None = None, kept: Collection[str] = ()
) -> Suggestion:
    """Suggests a kind for each column, and the other sections.

    Args:
        data: Profile of the data.
        label: Label column; None to find it by name.
        module: Hub module for the images or texts, if any.
        kept: Columns that become features although they look like identifiers or bookkeeping.

    Raises:
        UserError: if there is no such label, or nothing to learn in it; if there is no such column to keep, or none to
            learn from; or if the module takes none of the columns.
    """
    target = label_column(data.columns, label)
    boxes = box_column(data.columns) if module and target.name == BOX_LABELS else None
    columns = [column for column in data.columns if column not in (target, boxes)]
    _refuse_unknown(kept, columns)
    left_out: dict[str, str] = {}
    if any(column.type == "image" for column in columns):
        left_out = {each.name: BOOKKEEPING for each in columns if keeps_books(each.name) and each.name not in kept}
    made, wide = _features([each for each in columns if each.name not in left_out], data, module, kept, left_out)
    for column in (each for each in columns if each.name in left_out and _is_keepable(each)):
        left_out[column.name] += f"; --keep {shown(column.name)} keeps it"
    fed = [feature for feature in made if feature.needs_module and module and _takes(module, feature)]
    without_module = [feature for feature in made if feature.needs_module and feature not in fed]
    features = [feature for feature in made if feature not in without_module]
    _refuse_nothing(features, fed, without_module, left_out, module)
    images = {feature.settings.get("from", feature.name) for feature in fed if feature.settings["kind"] != "text"}
    required = [target] if target.is_single else []  # with any number of classes, a record may have none
    required += [column for column in columns if column.name in images]
    picture = next((feature.name for feature in fed if feature.settings["kind"] == "image"), None)
    _, epochs, batch_size, hidden = next(size for size in _SIZES if data.total < size[0])
    return Suggestion(
        features=features,
        without_module=without_module,
        left_out=left_out,
        label=suggest_box(target, boxes, picture, data.is_whole)
        if boxes and picture
        else suggest_label(target, data.is_whole),
        hubs={f"{feature.name}_module": _hub(feature, module) for feature in fed if module},
        wide=wide,
        hidden=hidden if any(_is_deep(feature, wide) for feature in features) else [],
        training={"epochs": epochs, "batch_size": batch_size, "early_stopping": max(2, epochs // 10)},
        bad_records=_bad_records(sum(column.missing for column in required)),
        slices=[[column.name] for column in columns if _makes_slices(column)][:SLICES],
    )


def _features(
    columns: Sequence[ColumnProfile],
    data: DataProfile,
    module: ModuleProfile | None,
    kept: Collection[str],
    left_out: dict[str, str],
) -> tuple[list[FeatureSuggestion], list[str]]:
    """The features, and the names of those in the wide part. Reasons for columns without a feature are added to
    `left_out`."""
    names = input_names(column.name for column in data.columns)
    taken = set(names.values())
    pairs = _places(columns)
    made: list[FeatureSuggestion] = []
    wide: list[str] = []
    for column in columns:
        if column.name in pairs:
            made += _place_features(column, pairs[column.name], data.total, taken)
            wide.append(made[-1].name)
        elif column not in pairs.values():
            found = kinds(column, module, column.name in kept)
            if isinstance(found, str):
                left_out[column.name] = found
            else:
                for suffix, settings in found.items():
                    name = _free_name(column.name + suffix, taken) if suffix else names[column.name]
                    made.append(_feature(column, name, settings))
    return made, wide


def _is_keepable(column: ColumnProfile) -> bool:
    return not isinstance(kinds(column, is_kept=True), str)


def _refuse_unknown(kept: Collection[str], columns: Sequence[ColumnProfile]) -> None:
    """Raises a UserError if a column to keep doesn't exist."""
    names = [column.name for column in columns]
    unknown = [f"--keep {name}: there is no such column; {nearest(name, names)}" for name in kept if name not in names]
    if unknown:
        raise UserError("\n".join(unknown))


def described(column: ColumnProfile) -> str:
    """Profile of a column in words, for a comment."""
    parts = [
        column.type if column.is_single else f"{column.fewest} to {column.most} values of {column.type} in a record"
    ]
    if column.numbers:
        numbers = column.numbers
        least, greatest = (shown(int(n) if column.type == "integer" else n) for n in (numbers.minimum, numbers.maximum))
        parts += [f"{least} to {greatest}, mean {numbers.mean:,.4g}, median {numbers.median:,.4g}"]
        parts += [f"skewness {round(numbers.skewness, 1) + 0.0:.1f}"]  # avoids -0.0
    parts += [f"{column.distinct:,} distinct"]
    parts += [f"{max(column.missing, 0.001):.1%} missing" if column.missing else "none missing"]
    if column.frequent and (column.type == "text" or is_few(column)):
        parts += ["such as " + ", ".join(shown(value) for value, _ in column.frequent[:3])]
    return "; ".join(parts)


def _feature(column: ColumnProfile, name: str, settings: Settings) -> FeatureSuggestion:
    head = {"kind": settings["kind"]} | ({"from": column.name} if name != column.name else {})
    return FeatureSuggestion(name, head | settings, described(column))


def _free_name(wanted: str, taken: set[str]) -> str:
    """A feature name that no column and no other feature has; it is reserved."""
    name = input_name(wanted)
    free = next(each for each in chain([name], (f"{name}_{number}" for number in count(2))) if each not in taken)
    taken.add(free)
    return free


def _places(columns: Sequence[ColumnProfile]) -> dict[str, ColumnProfile]:
    """Longitude columns by the name of their latitude column."""
    found: dict[str, dict[tuple[str, str], ColumnProfile]] = {"latitude": {}, "longitude": {}}
    for column in columns:
        match = _PLACE.fullmatch(column.name)
        if match and column.type == "float" and column.is_single and column.distinct > 10 and column.numbers:
            axis = "latitude" if match["latitude"] else "longitude"
            limit = 90 if axis == "latitude" else 180
            if -limit <= column.numbers.minimum and column.numbers.maximum <= limit:
                found[axis].setdefault((match["before"], match["after"]), column)
    return {
        column.name: found["longitude"][around]
        for around, column in found["latitude"].items()
        if around in found["longitude"]
    }


def _place_features(
    latitude: ColumnProfile, longitude: ColumnProfile, records: int, taken: set[str]
) -> list[FeatureSuggestion]:
    """Bucketized latitude and longitude and their cross: a grid whose cells contain several records each."""
    cells = 10 if records < 10_000 else 20
    bucketized = {"kind": "bucketized", "buckets": cells, "encode": "none"}
    buckets = [
        _feature(column, _free_name(f"{column.name}_bucket", taken), bucketized) for column in (latitude, longitude)
    ]
    match = _PLACE.fullmatch(latitude.name)
    name = _free_name(f"{match['before']}place{match['after']}" if match else "place", taken)
    crossed = {"kind": "crossed", "of": [bucket.name for bucket in buckets], "hash_buckets": 2 * cells**2}
    return [*buckets, FeatureSuggestion(name, crossed, f"the cells of a grid of {cells} by {cells}; in model.wide")]


def _is_deep(feature: FeatureSuggestion, wide: Sequence[str]) -> bool:
    return feature.name not in wide and feature.settings.get("encode") != "none"


def _takes(module: ModuleProfile, feature: FeatureSuggestion) -> bool:
    """Whether a module takes a feature; an image module takes each frame of a clip."""
    kind = feature.settings["kind"]
    return kind == module.takes or (kind == "video" and module.takes == "image")


def _hub(feature: FeatureSuggestion, module: ModuleProfile) -> Settings:
    output = {"output": module.output} if module.output else {}
    pool = {"pool": "mean"} if feature.settings["kind"] == "video" and module.takes == "image" else {}
    return {"handle": module.handle, "inputs": {module.input: feature.name}, **output, **pool}


def _bad_records(missing: float) -> Settings | None:
    """Quarantines records without a label or image, with a margin of half as many again."""
    return {"policy": "quarantine", "max_fraction": min(1.0, math.ceil(150 * missing) / 100)} if missing > 0 else None


def _makes_slices(column: ColumnProfile) -> bool:
    return column.type in ("integer", "text") and column.is_single and 1 < column.distinct <= SLICED and is_few(column)


def _refuse_nothing(
    features: Sequence[FeatureSuggestion],
    fed: Sequence[FeatureSuggestion],
    without_module: Sequence[FeatureSuggestion],
    left_out: dict[str, str],
    module: ModuleProfile | None,
) -> None:
    """Checks that there is something to learn from, and something for the module to take.

    Raises:
        UserError: if not.
    """
    if module and not fed:
        raise UserError(f"{module.handle}: this module takes {_SHOWN[module.takes]}, but no column holds any")
    if without_module and not features:
        what = " and ".join(sorted({_SHOWN[feature.settings["kind"]] for feature in without_module}, reverse=True))
        raise UserError(
            f"the only columns besides the label are {what} ({', '.join(feature.name for feature in without_module)}), "
            "which need a hub "
            "module; pass --hub HANDLE"
        )
    if not features:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in left_out.items())
        raise UserError(f"there is no column to learn from besides the label{reasons}")
