"""Types of the `features` and `label` sections. To add a kind, write its module and add its type to the union."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import InitErrorDetails

from hubline.core.config_errors import raise_placed
from hubline.preprocessing.feature_columns import encoded_features, refers_to_feature
from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.preprocessing.kinds.bucketized import BucketizedFeature
from hubline.preprocessing.kinds.categorical import CategoricalFeature, VocabularyFile
from hubline.preprocessing.kinds.crossed import CrossedFeature
from hubline.preprocessing.kinds.encoded import EncodedKind
from hubline.preprocessing.kinds.image import ImageFeature, InferenceImageFeature
from hubline.preprocessing.kinds.kind import CategoryKind
from hubline.preprocessing.kinds.numeric import NumberKind, NumericFeature
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
    | AudioFeature
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

FeatureToInfer = Annotated[InferenceImageFeature | _Other, Field(discriminator="kind")]
"""The same for `task: infer`, where images may keep their own size."""

Label = Annotated[
    ClassLabel | BinaryLabel | MultilabelLabel | RegressionLabel | ClassAndBoxLabel | PixelsLabel,
    Field(discriminator="kind"),
]
"""Any kind of label, discriminated by `kind`."""


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
        elif isinstance(feature, EncodedKind | TextFeature):
            return f"'{name}' is made from a column, and '{read}' is a feature; call that feature something else"
        elif not isinstance(features[read], CategoryKind) or isinstance(features[read], TextFeature):
            return f"'{name}' is made from the feature '{read}', which has no categories; name a column instead"
        elif _comes_back(read, name, features, frozenset()):
            return f"'{name}' is made from '{read}', which is made from '{name}'"
    return None


def _column_fault(name: str, column: str, features: dict[str, Feature]) -> str | None:
    """What is wrong with a feature that is made from a raw column, or None."""
    if isinstance(features[name], CrossedFeature) and isinstance(features.get(column), NumberKind):
        return f"'{name}' crosses the number '{column}'; cross a bucketized feature that is made from it"
    kinds = {feature.kind for feature in _of_column(column, features)}
    if others := kinds - {features[name].kind}:
        held = next(feature.what for feature in _of_column(column, features) if feature.kind in others)
        return f"'{name}' is {features[name].kind}, and the column '{column}' holds {held}s"
    if len({feature.decode for feature in _of_column(column, features) if isinstance(feature, ImageFeature)}) > 1:
        return f"the images of the column '{column}' are decoded in different ways; give its features the same decode"
    return None


def _of_column(column: str, features: dict[str, Feature]) -> list[EncodedKind]:
    return [feature for name, feature in encoded_features(features).items() if column == (feature.column or name)]


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
