"""Rules that choose feature kinds for a column, based on its profile alone."""

from __future__ import annotations

import re
from typing import Any

from hubline.pipeline.init.backbone import BackboneChoice
from hubline.pipeline.init.column_profile import ColumnProfile, ModuleInput

Settings = dict[str, Any]
"""A feature's section in a pipeline file."""

FEW = 100
"""Maximum number of distinct values that are treated as categories."""
PER_VALUE = 10
"""Minimum average count per distinct value, if there are more than ten."""
SPARSE = 20
"""Maximum number of distinct integers that are treated as categories if they are far apart, such as durations in
minutes."""
SKEWED = 2.0
"""Skewness above which logarithms are taken: that of an exponential distribution."""
SPREAD = 10.0
"""Lower bound of the maximum; below it, logarithms would not reduce the range."""
MISSING = 0.01
"""Fraction of missing values above which missing indicators are added."""
IDENTIFIER = 0.95
"""Fraction of distinct values above which texts are identifiers."""
LARGE = 224
"""Longer side of larger pictures in pixels, unless a network says otherwise."""
FRAMES = 16
"""Maximum number of frames, unless a module fixes it."""
RATE = 16_000
"""Samples per second of sounds whose headers can't be read."""
WORDS = 4.0
"""Minimum average number of words in texts that become bags of words."""
CODES = 2**24
"""Repeated integers from here on are codes rather than quantities."""
LONG = 10**11
"""Distinct integers that are mostly above this are identifiers: amounts have fewer than 12 digits."""
TOP_WORDS = 10_000
MIN_COUNT = 5
"""Words that occur less often would be memorised rather than learned from."""

_TIMES = {"seconds": 1e9, "milliseconds": 1e12, "microseconds": 1e15}
"""By unit, integers from this number to twice this number are timestamps: 2001 to 2033."""
_NAMES_RECORDS = re.compile(r"(^|_)(id|key|uuid|guid|file|filename|path)$|[a-z]I[dD]$", re.ASCII)


def kinds(
    column: ColumnProfile,
    wanted: ModuleInput | None = None,
    is_kept: bool = False,
    backbone: BackboneChoice | None = None,
    is_whole: bool = True,
) -> dict[str, Settings] | str:
    """Features to make from a column.

    Args:
        column: Profile of the column.
        wanted: Only input of a hub module for images, clips, texts or sounds, if any.
        is_kept: Whether a column that looks like an identifier becomes a feature all the same.
        backbone: Network for images, if any.
        is_whole: Whether all records were read. Otherwise, others may hold other values.

    Returns:
        Sections by suffix, which is appended to the column's name to name the feature; or why there is no feature.
    """
    if not column.name:
        return "its name is empty"
    if column.type == "nothing":
        return "no record has a value" if is_whole else "no record of the sample has a value"
    if column.type == "bytes":
        return "bytes that are neither text nor a JPEG, PNG, GIF, BMP or WAV file"
    if column.type == "sound":
        return _sound(column, wanted)
    if column.type == "image":
        return {"": _image(column, wanted, backbone)}
    if column.distinct == 1:
        of_sample = "" if is_whole else " in the sample"
        return f"constant{of_sample}: {shown(column.frequent[0][0])}{', or missing' if column.missing else ''}"
    if column.is_date and column.is_single:
        return _dates(column)
    if column.type == "text":
        return _text(column, wanted, is_kept, is_whole)
    return _integer(column, is_kept, is_whole) if column.type == "integer" else _numeric(column)


def is_few(column: ColumnProfile) -> bool:
    """Whether a column has few enough distinct values, and often enough, to be categorical."""
    often = column.values >= PER_VALUE * column.distinct or column.distinct <= 10
    return column.distinct <= FEW and often and column.values >= 2 * column.distinct


def shown(value: int | float | str) -> str:
    """A value in a comment: short, on one line, and without characters that YAML forbids."""
    if isinstance(value, str):
        return repr(value if len(value) <= 30 else f"{value[:29]}…")
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def _image(column: ColumnProfile, wanted: ModuleInput | None, backbone: BackboneChoice | None) -> Settings:
    """An image, or a clip if records have several."""
    if backbone and column.is_single:
        return backbone.feature(column)
    fits = wanted and wanted.takes in ("image", "video")
    return feature_for(wanted if wanted and fits else ModuleInput("", "image"), column)


def _sound(column: ColumnProfile, wanted: ModuleInput | None) -> dict[str, Settings] | str:
    if not column.is_single:
        return f"from {column.fewest} to {column.most} sounds in a record; an audio feature has one"
    return {"": feature_for(wanted if wanted and wanted.takes == "numbers" else ModuleInput("", "numbers"), column)}


def _audio(column: ColumnProfile, samples: int) -> Settings:
    """The section of an audio feature; without a module's number of samples, half of the sounds are cut."""
    sounds = column.sounds
    rate = {"sample_rate": sounds.rates[0] if sounds else RATE}
    if samples > 1:
        return {"kind": "audio", **rate, "samples": samples}
    return {"kind": "audio", **rate, "seconds": float(f"{sounds.median:.2g}") if sounds else 1.0}


def feature_for(wanted: ModuleInput, column: ColumnProfile) -> Settings:
    """The section of the feature that feeds an input."""
    if wanted.takes == "text":
        return {"kind": "text"}
    if column.type == "sound":
        return _audio(column, wanted.length)
    if wanted.takes == "numbers":
        length = {"length": wanted.length} if wanted.length > 1 else {}
        missing = {"missing": "mean"} if column.missing else {}
        return {"kind": "numeric", "normalize": "none", **length, **missing}
    size = list(wanted.size or column.picture_size(LARGE))
    channels = {"channels": wanted.channels} if wanted.channels != 3 else {}
    if column.is_single:
        return {"kind": "image", "size": size, **channels}
    return {"kind": "video", "frames": wanted.frames or min(column.most, FRAMES), "size": size, **channels}


def _dates(column: ColumnProfile, unit: str = "seconds") -> dict[str, Settings]:
    """Parts of a point in time that come again."""
    of_unit = {"unit": unit} if column.type == "integer" else {}
    parts = ("hour", "weekday") if column.has_times else ("weekday", "month")
    return {f"_{part}": {"kind": "timestamp", "part": part, **of_unit} for part in parts}


def _integer(column: ColumnProfile, is_kept: bool, is_whole: bool) -> dict[str, Settings] | str:
    numbers = column.numbers
    assert numbers is not None
    for unit, begin in _TIMES.items():
        if column.is_single and begin <= numbers.minimum and numbers.maximum <= 2 * begin:
            return _dates(column, unit)
    if column.is_single and not is_kept and (reason := _names_records(column)):
        return f"like an identifier: all values are different, {reason}"
    is_dense = numbers.maximum - numbers.minimum < 2 * column.distinct
    if is_few(column) and (column.distinct <= SPARSE or is_dense):
        if is_whole and numbers.minimum == 0 and numbers.maximum == column.distinct - 1:
            return {"": {"kind": "categorical", "identity": column.distinct, "encode": _counted(column)}}
        return {"": _vocabulary(column, is_whole)}
    is_code = numbers.minimum >= CODES and column.values >= 2 * column.distinct
    return {"": _hashed(column)} if is_code or column.fewest != column.most else _numeric(column)


def _names_records(column: ColumnProfile) -> str | None:
    """Why distinct integers are identifiers rather than amounts; None if they aren't."""
    numbers = column.numbers
    assert numbers is not None
    if column.distinct != column.values or column.distinct <= 10:
        return None
    if _NAMES_RECORDS.search(column.name):
        return "and the name says so"
    if numbers.maximum - numbers.minimum < 2 * column.distinct:
        return "and they count on"
    return "and most have 12 digits or more" if numbers.median >= LONG else None


def _numeric(column: ColumnProfile) -> dict[str, Settings] | str:
    if column.fewest != column.most:
        return f"from {column.fewest} to {column.most} numbers in a record; a numeric feature has a fixed `length`"
    return {"": numeric(column)}


def numeric(column: ColumnProfile) -> Settings:
    """The section of a numeric feature, of a column with as many numbers in each record."""
    numbers = column.numbers
    assert numbers is not None
    is_skewed = numbers.minimum >= 0 and numbers.maximum >= SPREAD and numbers.skewness > SKEWED
    settings: Settings = {"kind": "numeric", "normalize": "log1p" if is_skewed else "z_score"}
    if column.most > 1:
        settings["length"] = column.most
    if column.missing > 0:
        settings["missing"] = "median" if is_skewed else "mean"
    if column.missing > MISSING:
        settings["missing_indicator"] = True
    return settings


def _text(
    column: ColumnProfile, wanted: ModuleInput | None, is_kept: bool, is_whole: bool
) -> dict[str, Settings] | str:
    if is_few(column):
        return {"": _vocabulary(column, is_whole)}
    names_records = column.distinct >= IDENTIFIER * column.values and not is_kept
    reason = f"like an identifier: {column.distinct:,} different texts among {column.values:,}"
    if names_records and _NAMES_RECORDS.search(column.name):  # their words may contain the label: cats/my cat.jpg
        return reason
    if column.words >= WORDS and column.is_single:
        if wanted and wanted.takes == "text":
            return {"": {"kind": "text"}}
        vocabulary = {"top_k": TOP_WORDS, "min_count": 2 if column.values < 1000 else MIN_COUNT}
        return {"": {"kind": "text", "bag": {"vocabulary": vocabulary}, "encode": "multi_hot"}}
    if names_records and column.values > 10:
        return reason
    if not is_kept and column.frequent[0][1] < 2 * MIN_COUNT:
        return f"no value occurs {2 * MIN_COUNT} times, so that a model would memorise them"
    return {"": _hashed(column) if is_kept else _frequent_words(column)}


def _frequent_words(column: ColumnProfile) -> Settings:
    """The words that occur often enough, and one category for all others."""
    return {
        "kind": "categorical",
        "vocabulary": {"top_k": TOP_WORDS, "min_count": MIN_COUNT},
        "oov_buckets": 1,
        "encode": {"embedding": max(2, round(column.distinct**0.25))},
    }


def _vocabulary(column: ColumnProfile, is_whole: bool) -> Settings:
    """All values of the training split. If some are rare, or a sample may lack values, one category is for others."""
    counts = [count for _, count in column.frequent]
    is_uneven = len(counts) == column.distinct and counts[-1] < MIN_COUNT and counts[1] >= 2 * MIN_COUNT
    vocabulary = {"min_count": MIN_COUNT} if is_uneven else "computed"
    others = {"oov_buckets": 1} if is_uneven or not is_whole else {}
    return {"kind": "categorical", "vocabulary": vocabulary, **others, "encode": _counted(column)}


def _counted(column: ColumnProfile) -> str:
    return "one_hot" if column.is_single else "multi_hot"


def _hashed(column: ColumnProfile) -> Settings:
    """Buckets: at least twice the number of values, so that few collide. Embedding size: the fourth root of the number
    of values."""
    buckets = min(1 << (2 * column.distinct - 1).bit_length(), 1 << 20)
    return {
        "kind": "categorical",
        "hash_buckets": buckets,
        "encode": {"embedding": max(2, round(column.distinct**0.25))},
    }
