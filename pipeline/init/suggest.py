"""Suggests the contents of a pipeline file from a profile of the data alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.init.backbone import offer
from hubline.pipeline.init.bookkeeping import BOOKKEEPING, keeps_books
from hubline.pipeline.init.column_profile import ColumnProfile, DataProfile
from hubline.pipeline.init.feature import FeatureSuggestion, feature_names, feature_of, features_fed, free_name
from hubline.pipeline.init.feeds import Feeds
from hubline.pipeline.init.kinds import Settings, is_few, kinds, shown
from hubline.pipeline.init.label import LabelSuggestion, label_name, suggest_label
from hubline.pipeline.init.networks import Networks, networks_use
from hubline.pipeline.init.objects import PART, Boxes, boxes_of, names_objects, suggest_box, suggest_mask
from hubline.pipeline.init.places import place_features, places
from hubline.pipeline.init.split import TOGETHER, SplitSuggestion, group_of, suggest_split

ALONE = "a label of kind pixels is predicted from its image alone"
_SHOWN = {"audio": "sounds", "image": "images", "video": "clips"}
SLICES = 3
"""Maximum number of slices."""
SLICED = 20
"""Maximum number of values of a column that defines slices."""
_SIZES: tuple[tuple[float, int, int, list[int]], ...] = (
    (1_000, 200, 16, [64]),
    (10_000, 100, 32, [64]),
    (100_000, 50, 128, [128, 64]),
    (1_000_000, 15, 512, [128, 64]),
    (math.inf, 3, 2048, [256, 128]),
)
"""Upper bound of the number of records, epochs, batch size, and units of the hidden layers."""


@dataclass(frozen=True)
class Suggestion:
    """Contents of a pipeline file."""

    features: list[FeatureSuggestion]
    without_network: list[FeatureSuggestion]
    """Images, clips and sounds that nothing takes."""
    left_out: dict[str, str]
    """Columns without a feature, with reasons."""
    split: SplitSuggestion
    label: LabelSuggestion
    hubs: dict[str, Settings]
    backbones: dict[str, Settings]
    offer: str | None
    """What to pass for the first of those, if there are any."""
    wide: list[str]
    hidden: list[int]
    """Units of the hidden layers."""
    training: Settings
    bad_records: Settings | None
    slices: list[list[str]]


def suggest(
    data: DataProfile, label: str | None = None, networks: Networks | None = None, kept: Collection[str] = ()
) -> Suggestion:
    """Suggests a kind for each column, and the other sections.

    Args:
        data: Profile of the data.
        label: Label column; None to find it by name.
        networks: Networks for images, clips, texts and sounds, if any.
        kept: Columns that become features although they look like identifiers or bookkeeping.

    Raises:
        UserError: if there is no such label, or nothing to learn in it; if there is no such column to keep, or none to
            learn from; or if a network takes none of the columns.
    """
    networks = networks or Networks()
    by_name = {column.name: column for column in data.columns}
    target = by_name[label_name([*by_name], label, names_objects(data.columns))]
    columns = [column for column in data.columns if column is not target]
    _refuse_unknown(kept, columns)
    boxes = boxes_of(target, data.columns) if networks.module or networks.backbone else None
    left_out = _beside(target, boxes, columns, kept)
    fed = networks.fed(columns)
    group = group_of(each for each in columns if each.name not in {*left_out, *fed, *kept})
    left_out |= {group.name: TOGETHER} if group else {}
    others = [each for each in columns if each.name not in left_out or each.name in fed]
    made, wide = _features(others, data, networks, fed, kept, left_out)
    for column in (
        each for each in columns if left_out.get(each.name, PART) not in (PART, ALONE) and _is_keepable(each)
    ):
        left_out[column.name] += f"; --keep {shown(column.name)} keeps it"
    used = networks_use(networks, made)
    without = [feature for feature in made if feature.needs_network and feature.name not in used.features]
    features = [feature for feature in made if feature not in without]
    offered = next((offer(by_name[feature.column]) for feature in without), None)
    _refuse_nothing(features, without, left_out, offered)
    picture = next((each.name for each in features if each.settings["kind"] == "image"), None)
    images = {feature.column for feature in features if feature.settings["kind"] in _SHOWN}
    required = [target] if target.is_single or boxes else []  # with any number of classes, a record may have none
    required += [column for column in columns if column.name in images]
    _, epochs, batch_size, hidden = next(size for size in _SIZES if data.total < size[0])
    return Suggestion(
        features=features,
        without_network=without,
        left_out=left_out,
        split=suggest_split(group, target, data.is_whole and not data.has_spans),
        label=_label(target, boxes, picture, data.is_whole, networks),
        hubs=_with_maps(used.hubs, networks) if target.type == "image" else used.hubs,
        backbones=used.backbones,
        offer=offered,
        wide=wide,
        hidden=hidden if any(_is_deep(feature, wide) for feature in features) and target.type != "image" else [],
        training={"epochs": epochs, "batch_size": batch_size, "early_stopping": max(2, epochs // 10)},
        bad_records=_bad_records(sum(column.unusable for column in required)),
        slices=[[column.name] for column in columns if _makes_slices(column)][:SLICES],
    )


def _with_maps(hubs: Mapping[str, Settings], networks: Networks) -> dict[str, Settings]:
    """The same modules with all their feature maps, rather than one vector."""
    maps = {"outputs": list(networks.module.maps)} if networks.module else {}
    return {name: {key: hub[key] for key in hub if key != "output"} | maps for name, hub in hubs.items()}


def _beside(
    target: ColumnProfile, boxes: Boxes | None, columns: Sequence[ColumnProfile], kept: Collection[str]
) -> dict[str, str]:
    """Columns that go with the label or the images rather than being features, with reasons."""
    left_out = dict.fromkeys(sorted(boxes.names - {target.name}), PART) if boxes else {}
    if any(column.type in ("image", "sound") for column in columns):
        books = [each.name for each in columns if keeps_books(each.name) and each.name not in kept]
        left_out = dict.fromkeys(books, BOOKKEEPING) | left_out
    if target.type == "image":
        picture = next((column.name for column in columns if column.type == "image"), None)
        left_out |= {each.name: ALONE for each in columns if each.name != picture}
    return left_out


def _label(
    target: ColumnProfile, boxes: Boxes | None, picture: str | None, is_whole: bool, networks: Networks
) -> LabelSuggestion:
    if picture and target.type == "image":
        return suggest_mask(target, picture, networks.module)
    if picture and boxes:
        return suggest_box(target, boxes, picture, is_whole)
    return suggest_label(target, is_whole)


def _features(
    columns: Sequence[ColumnProfile],
    data: DataProfile,
    networks: Networks,
    fed: Feeds,
    kept: Collection[str],
    left_out: dict[str, str],
) -> tuple[list[FeatureSuggestion], list[str]]:
    """The features, and the names of those in the wide part. Reasons for columns without a feature are added to
    `left_out`."""
    names = feature_names(column.name for column in data.columns)
    taken = set(names.values())
    pairs = places([column for column in columns if column.name not in fed])
    only_input = None if fed else networks.only_input
    made: list[FeatureSuggestion] = []
    wide: list[str] = []
    for column in columns:
        if column.name in pairs:
            made += place_features(column, pairs[column.name], data.total, names, taken)
            wide.append(made[-1].name)
        elif column.name in fed:
            made += features_fed(column, fed[column.name], names[column.name], taken)
        elif column not in pairs.values():
            found = kinds(column, only_input, column.name in kept, networks.backbone, data.is_whole)
            if isinstance(found, str):
                left_out[column.name] = found
            else:
                for suffix, settings in found.items():
                    name = free_name(column.name + suffix, taken) if suffix else names[column.name]
                    made.append(feature_of(column, name, settings))
    return made, wide


def _is_keepable(column: ColumnProfile) -> bool:
    return not isinstance(kinds(column, is_kept=True), str)


def _refuse_unknown(kept: Collection[str], columns: Sequence[ColumnProfile]) -> None:
    """Raises a UserError if a column to keep doesn't exist."""
    names = [column.name for column in columns]
    unknown = [f"--keep {name}: there is no such column; {nearest(name, names)}" for name in kept if name not in names]
    if unknown:
        raise UserError("\n".join(unknown))


def _is_deep(feature: FeatureSuggestion, wide: Sequence[str]) -> bool:
    return feature.name not in wide and feature.settings.get("encode") != "none"


def _bad_records(unusable: float) -> Settings | None:
    """Quarantines records without a label or image, with a margin of half as many again."""
    return {"policy": "quarantine", "max_fraction": min(1.0, math.ceil(150 * unusable) / 100)} if unusable > 0 else None


def _makes_slices(column: ColumnProfile) -> bool:
    return column.type in ("integer", "text") and column.is_single and 1 < column.distinct <= SLICED and is_few(column)


def _refuse_nothing(
    features: Sequence[FeatureSuggestion],
    without: Sequence[FeatureSuggestion],
    left_out: dict[str, str],
    offered: str | None,
) -> None:
    """Checks that there is something to learn from.

    Raises:
        UserError: if not.
    """
    if without and not features:
        what = " and ".join(sorted({_SHOWN[feature.settings["kind"]] for feature in without}, reverse=True))
        names = ", ".join(feature.name for feature in without)
        raise UserError(f"the only columns besides the label are {what} ({names}), which need a network; {offered}")
    if not features:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in left_out.items())
        raise UserError(f"there is no column to learn from besides the label{reasons}")
