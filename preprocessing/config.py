"""Types of the `features` and `label` sections. To add a kind, write its module and add its type to the union."""

import re
from collections.abc import Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import InitErrorDetails

from hubline.core.config_errors import raise_placed
from hubline.preprocessing.kinds.bucketized import BucketizedFeature
from hubline.preprocessing.kinds.categorical import CategoricalFeature, VocabularyFile
from hubline.preprocessing.kinds.crossed import CrossedFeature
from hubline.preprocessing.kinds.image import ImageFeature, ImageToInfer, Pictures
from hubline.preprocessing.kinds.kind import Categories
from hubline.preprocessing.kinds.numeric import Numbers, NumericFeature
from hubline.preprocessing.kinds.sequence import SequenceFeature
from hubline.preprocessing.kinds.text import TextFeature
from hubline.preprocessing.kinds.timestamp import TimestampFeature
from hubline.preprocessing.kinds.video import VideoFeature
from hubline.preprocessing.labels.binary import BinaryLabel
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel
from hubline.preprocessing.labels.classes import ClassLabel
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.labels.regression import RegressionLabel

_Other = (
    VideoFeature
    | NumericFeature
    | SequenceFeature
    | BucketizedFeature
    | CategoricalFeature
    | CrossedFeature
    | TextFeature
    | TimestampFeature
)

Feature = Annotated[ImageFeature | _Other, Field(discriminator="kind")]
"""Any kind of feature, discriminated by `kind`."""

FeatureToInfer = Annotated[ImageToInfer | _Other, Field(discriminator="kind")]
"""The same for `task: infer`, where images may keep their own size."""

Label = Annotated[
    ClassLabel | BinaryLabel | MultilabelLabel | RegressionLabel | ClassAndBoxLabel | PixelsLabel,
    Field(discriminator="kind"),
]
"""Any kind of label, discriminated by `kind`."""


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


def refers_to_feature(name: str, features: dict[str, Feature]) -> bool:
    """Whether `name` refers to a feature (by its categories) rather than to the raw column of that name.

    It does if the feature isn't made from the column of its own name, or if its categories differ from the column's
    values.
    """
    feature = features.get(name)
    return feature is not None and (feature.is_derived or name not in feature.reads(name))


def columns_of(name: str, features: dict[str, Feature]) -> list[str]:
    """The distinct raw columns that the feature `name` is made from, directly or through other features."""
    found: list[str] = []
    for read in features[name].reads(name):
        found += columns_of(read, features) if read != name and refers_to_feature(read, features) else [read]
    return list(dict.fromkeys(found))


def input_columns(features: dict[str, Feature], only: Iterable[str] | None = None) -> list[str]:
    """The distinct raw columns that the features, or `only` some of them, are made from."""
    names = features if only is None else only
    return list(dict.fromkeys(column for name in names for column in columns_of(name, features)))


def takes_lists(column: str, features: dict[str, Feature]) -> bool:
    """Whether any feature uses more than the first value of a raw column."""
    return any(feature.takes_lists for name, feature in features.items() if column in columns_of(name, features))


def images(features: dict[str, Feature]) -> dict[str, Pictures]:
    """The features that are images or clips."""
    return {name: feature for name, feature in features.items() if isinstance(feature, Pictures)}


def image_columns(features: dict[str, Feature]) -> list[str]:
    """The distinct raw columns of encoded images, including the frames of clips."""
    return input_columns(features, images(features))


def clip_columns(features: dict[str, Feature]) -> list[str]:
    """The distinct raw columns of clip frames."""
    return input_columns(features, [name for name, feature in features.items() if isinstance(feature, VideoFeature)])


def vocabulary_files(features: dict[str, Feature]) -> dict[str, VocabularyFile]:
    """Vocabulary files by feature."""
    return {
        name: feature.vocabulary
        for name, feature in features.items()
        if isinstance(feature, CategoricalFeature) and isinstance(feature.vocabulary, VocabularyFile)
    }


def _made_of_what_there_is(features: dict[str, Feature]) -> dict[str, Feature]:
    raise_placed("features", (((name,), fault) for name in features if (fault := _fault(name, features))))
    return features


def _fault(name: str, features: dict[str, Feature]) -> str | None:
    """What is wrong with the inputs of a feature, or None."""
    feature = features[name]
    for read in feature.reads(name):
        if read == name or not refers_to_feature(read, features):
            fault = _column_fault(name, read, features)
            if fault:
                return fault
        elif isinstance(feature, Pictures | TextFeature):
            return f"'{name}' is made from a column, and '{read}' is a feature; call that feature something else"
        elif not isinstance(features[read], Categories) or isinstance(features[read], TextFeature):
            return f"'{name}' is made from the feature '{read}', which has no categories; name a column instead"
        elif _comes_back(read, name, features, frozenset()):
            return f"'{name}' is made from '{read}', which is made from '{name}'"
    return None


def _column_fault(name: str, column: str, features: dict[str, Feature]) -> str | None:
    """What is wrong with a feature that is made from a raw column, or None."""
    if isinstance(features[name], CrossedFeature) and isinstance(features.get(column), Numbers):
        return f"'{name}' crosses the number '{column}'; cross a bucketized feature that is made from it"
    kinds = {feature.kind for image, feature in images(features).items() if column == (feature.column or image)}
    if others := kinds - {features[name].kind}:
        held = "clips" if "video" in others else "images"
        return f"'{name}' is {features[name].kind}, and the column '{column}' holds {held}"
    return None


def _comes_back(at: str, to: str, features: dict[str, Feature], seen: frozenset[str]) -> bool:
    below = [read for read in features[at].reads(at) if read != at and refers_to_feature(read, features)]
    return to in below or any(_comes_back(read, to, features, seen | {at}) for read in below if read not in seen)


def _with_all_mistakes(values: Any, read: ValidatorFunctionWrapHandler) -> dict[str, Feature]:
    """Validates each feature. If some are invalid, errors between the others are reported too."""
    try:
        return read(values)
    except ValidationError as error:
        title, mistakes = error.title, error.errors()
    wrong = {str(mistake["loc"][0]) for mistake in mistakes if mistake["loc"]}
    if wrong and isinstance(values, Mapping) and (others := {k: v for k, v in values.items() if str(k) not in wrong}):
        try:
            _made_of_what_there_is(read(others))
        except ValidationError as error:
            mistakes += error.errors()
    details = [InitErrorDetails(type=m["type"], loc=m["loc"], input=m["input"], ctx=m.get("ctx", {})) for m in mistakes]
    raise ValidationError.from_exception_data(title, details)


FeatureKey = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]

Features = Annotated[
    dict[FeatureKey, Feature],
    WrapValidator(_with_all_mistakes),
    AfterValidator(_made_of_what_there_is),
]
FeaturesToInfer: TypeAlias = Features
if not TYPE_CHECKING:  # mypy would not accept a dict of one union as a dict of the other
    FeaturesToInfer = Annotated[
        dict[FeatureKey, FeatureToInfer],
        WrapValidator(_with_all_mistakes),
        AfterValidator(_made_of_what_there_is),
    ]
