"""Which raw columns features are made from, and the names of columns in serving signatures."""

import re
from collections.abc import Iterable, Mapping
from itertools import count

from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.preprocessing.kinds.encoded import EncodedKind
from hubline.preprocessing.kinds.image import ImageFeature, ImageKind
from hubline.preprocessing.kinds.kind import FeatureKind
from hubline.preprocessing.kinds.stored_pixels import Stored
from hubline.preprocessing.kinds.video import VideoFeature


def input_name(column: str) -> str:
    """The input name of a raw column in the serving signature. TensorFlow signatures accept identifiers only.

    Every other character becomes `_`. A name that doesn't start with a letter is prefixed with `column_`.
    """
    name = re.sub(r"\W", "_", column, flags=re.ASCII)
    return name if name[:1].isalpha() else f"column_{name}"


def input_names(columns: Iterable[str]) -> dict[str, str]:
    """The input name of each raw column in the serving signature, unique among all columns.

    If several columns map to one name, the column that already has that name keeps it, or else the first in
    alphabetical order. The others get the suffixes `_2`, `_3`, … in alphabetical order.
    """
    ordered = sorted(set(columns), key=lambda column: (column != input_name(column), column))
    taken: set[str] = {input_name(column) for column in ordered}
    names: dict[str, str] = {}
    for column in ordered:
        name = input_name(column)
        if name in names.values():
            name = next(each for number in count(2) if (each := f"{name}_{number}") not in taken)
            taken.add(name)
        names[column] = name
    return names


def refers_to_feature(name: str, features: Mapping[str, FeatureKind]) -> bool:
    """Whether `name` refers to a feature (by its categories) rather than to the raw column of that name.

    It does if the feature isn't made from the column of its own name, or if its categories differ from the column's
    values.
    """
    feature = features.get(name)
    return feature is not None and (feature.is_derived or name not in feature.reads(name))


def columns_of(name: str, features: Mapping[str, FeatureKind]) -> list[str]:
    """The distinct raw columns that the feature `name` is made from, directly or through other features."""
    found: list[str] = []
    for read in features[name].reads(name):
        found += columns_of(read, features) if read != name and refers_to_feature(read, features) else [read]
    return list(dict.fromkeys(found))


def input_columns(features: Mapping[str, FeatureKind], only: Iterable[str] | None = None) -> list[str]:
    """The distinct raw columns that the features, or `only` some of them, are made from."""
    names = features if only is None else only
    return list(dict.fromkeys(column for name in names for column in columns_of(name, features)))


def takes_lists(column: str, features: Mapping[str, FeatureKind]) -> bool:
    """Whether any feature uses more than the first value of a raw column."""
    return any(feature.takes_lists for name, feature in features.items() if column in columns_of(name, features))


def encoded_features(features: Mapping[str, FeatureKind]) -> dict[str, EncodedKind]:
    """The features whose columns hold encoded files: images, clips and sounds."""
    return {name: feature for name, feature in features.items() if isinstance(feature, EncodedKind)}


def encoded_columns(features: Mapping[str, FeatureKind]) -> list[str]:
    """The distinct raw columns of encoded files."""
    return input_columns(features, encoded_features(features))


def sound_columns(features: Mapping[str, FeatureKind]) -> list[str]:
    """The distinct raw columns of sounds."""
    return input_columns(features, [name for name, feature in features.items() if isinstance(feature, AudioFeature)])


def images(features: Mapping[str, FeatureKind]) -> dict[str, ImageKind]:
    """The features that are images or clips."""
    return {name: feature for name, feature in features.items() if isinstance(feature, ImageKind)}


def stored_pixels(features: Mapping[str, FeatureKind]) -> dict[str, Stored]:
    """How images that are stored as pixels are stored, by raw column."""
    return {
        feature.column or name: feature.decode
        for name, feature in features.items()
        if isinstance(feature, ImageFeature) and feature.decode is not None
    }


def image_columns(features: Mapping[str, FeatureKind]) -> list[str]:
    """The distinct raw columns of images, including the frames of clips."""
    return input_columns(features, images(features))


def clip_columns(features: Mapping[str, FeatureKind]) -> list[str]:
    """The distinct raw columns of clip frames."""
    return input_columns(features, [name for name, feature in features.items() if isinstance(feature, VideoFeature)])
