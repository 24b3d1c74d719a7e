"""Diagnoses the transformed data before a model is trained on it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import tensorflow_transform as tft

from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.kinds.categorical import CategoricalFeature
from hubline.preprocessing.kinds.kind import CategoryKind, FeatureKind
from hubline.preprocessing.summary import Extremes, FeatureSummary, Summary, own_column

TRAIN, TEST = "train", "test"

_UNKNOWN = 0.01
"""Fraction of unknown values above which they are reported, for categories that the pipeline file lists."""
_RARE = 0.5
"""The same for computed categories, where rare values are meant to be unknown."""
_SHOWN = 5
_FAR_OF_FEW = 10.0
"""Factor by which a gap must exceed the range of all other values if there are fewer than ten: discounts of 0, 0.2,
0.25 and 0.3 have a gap at 0 too."""


@dataclass(frozen=True)
class DataProblem:
    """A problem with a feature or the label."""

    text: str
    stops: bool = False
    """Whether training is pointless."""


def diagnose(
    features: Features, label: Label, transform: tft.TFTransformOutput, summaries: Mapping[str, Summary]
) -> list[DataProblem]:
    """Checks the transformed splits against the purpose of features and label.

    Args:
        features: Features of the pipeline file.
        label: Label of the pipeline file.
        transform: The transform graph.
        summaries: Summary of each split.
    """
    train = summaries[TRAIN]
    found = list(_of_label(label, transform, summaries))
    if given := _answer_among(features, label):
        found.append(
            DataProblem(f"the label is computed from {_quoted(given)}, which features use too: they reveal the answer")
        )
    for name, summary in train.features.items():
        found += _of_feature(name, features[name], transform, summary, train.records)
        found += _of_range(name, features, train)
    for column, extremes in train.columns.items():
        if stand_in := _stand_in(extremes):
            value, count, nearest = stand_in
            found.append(
                DataProblem(
                    f"column '{column}': {count:,} values of the training split are {value:g}; the nearest other "
                    f"value is {nearest:g}, and the gap is wider than the range of all others. If {value:g} marks "
                    "a missing value, remove it from the records"
                )
            )
    return found


def _answer_among(features: Features, label: Label) -> list[str]:
    """The label's columns, if features are made from all of them."""
    read = {own_column(name, features) for name in features}
    columns = [column for column in label.columns if column not in label.masks]
    return columns if columns and read.issuperset(columns) else []


def _of_label(
    label: Label, transform: tft.TFTransformOutput, summaries: Mapping[str, Summary]
) -> Iterator[DataProblem]:
    train = summaries[TRAIN]
    if label.has_classes:
        yield from _of_classes(label.has_one_class, label.class_names(transform), summaries)
    elif len(train.targets.least) == 1 and train.records > 1:
        ((value, _),) = train.targets.least
        yield DataProblem(f"label: {value:g} in all {train.records:,} records of the training split", stops=True)


def _of_classes(is_exclusive: bool, names: Sequence[str], summaries: Mapping[str, Summary]) -> Iterator[DataProblem]:
    train = summaries[TRAIN]
    learned = {number: count for number, count in (train.classes or {}).items() if number >= 0}
    if is_exclusive and len(learned) < 2:
        of = f"are of the class '{names[next(iter(learned))]}'" if learned else "have a known class"
        how_many = f"all {train.records:,}" if learned else f"none of the {train.records:,}"
        yield DataProblem(
            f"label: {how_many} records of the training split {of}; there is nothing to distinguish", stops=True
        )
    for split, summary in summaries.items():
        if split == TRAIN:
            continue
        there = summary.classes or {}
        unseen = [names[number] for number in sorted(there) if number >= 0 and number not in learned]
        if unseen:
            yield DataProblem(f"label: the {split} split has classes that the training split lacks: {_quoted(unseen)}")
        if unknown := there.get(-1, 0):
            share = _share(unknown, summary.records)
            yield DataProblem(f"label: {share} of the {split} split have a class that the training split lacks")


def _of_feature(
    name: str, feature: FeatureKind, transform: tft.TFTransformOutput, summary: FeatureSummary, records: int
) -> Iterator[DataProblem]:
    unknown = summary.given - summary.known
    if unknown and not summary.known:
        yield DataProblem(
            f"features.{name}: all {summary.given:,} records with a value have unknown values only"
            f"{_such_as(summary.unknown)}{_remedy(name, feature, transform, summary.unknown)}",
            stops=True,
        )
    elif unknown > summary.given * (_UNKNOWN if _is_chosen(feature) else _RARE):
        yield DataProblem(
            f"features.{name}: {_share(unknown, summary.given)} with a value have unknown values only"
            f"{_such_as(summary.unknown)}; they count as missing{_remedy(name, feature, transform, summary.unknown)}"
        )
    if summary.several and not feature.takes_lists:
        yield DataProblem(
            f"features.{name}: {_share(summary.several, records)} have several values, but only the first is used"
        )


def _is_chosen(feature: FeatureKind) -> bool:
    return not isinstance(feature, CategoricalFeature) or feature.is_chosen


def _remedy(name: str, feature: FeatureKind, transform: tft.TFTransformOutput, unknown: Sequence[str]) -> str:
    """Advice about unknown values."""
    if isinstance(feature, CategoricalFeature) and feature.identity is not None:
        return f"; `identity: {feature.identity}` accepts the numbers from 0 to {feature.identity - 1}"
    if isinstance(feature, CategoryKind) and feature.has_words and _is_chosen(feature):
        words = [word.decode(errors="backslashreplace") for word in feature.words(name, transform)]
        folded = {word.casefold().strip(): word for word in words}
        twins = [(value, folded[value.casefold().strip()]) for value in unknown if value.casefold().strip() in folded]
        if twins:
            value, word = twins[0]
            return f"; the vocabulary has '{word}', but the data has '{value}': they differ in case or spaces"
        return f"; the vocabulary has {_quoted(words)}"
    return ""


def _of_range(name: str, features: Features, train: Summary) -> Iterator[DataProblem]:
    """Reports a feature whose records all fall into one category although its column varies."""
    summary = train.features[name]
    if not summary.categories or len(summary.categories) > 1 or summary.known < 2:
        return
    extremes = train.columns.get(own_column(name, features) or "")
    if extremes and len(extremes.least) > 1:
        (least, _), (greatest, _) = extremes.least[0], extremes.greatest[0]
        yield DataProblem(
            f"features.{name}: every record falls into the same category, because the column ranges from {least:g} to "
            f"{greatest:g}; use boundaries within that range"
        )


def _stand_in(extremes: Extremes) -> tuple[float, int, float] | None:
    """A value that probably stands for missing data, its count, and the nearest other value.

    Such a value occurs several times at one end of the range, and its distance to the nearest value exceeds the range
    of all others; by far, if they are few. If all others are equal, as in a column of two values, nothing can be
    inferred.
    """
    if len(extremes.least) < 2:
        return None
    (least, least_count), (above, _) = extremes.least[:2]
    (greatest, greatest_count), (below, _) = extremes.greatest[:2]
    factor = _FAR_OF_FEW if extremes.has_few else 1.0
    if least_count > 1 and above < greatest and above - least > factor * (greatest - above):
        return least, least_count, above
    if greatest_count > 1 and below > least and greatest - below > factor * (below - least):
        return greatest, greatest_count, below
    return None


def _share(count: int, of: int) -> str:
    return f"{count:,} of {of:,} records ({count / of:.2%})"


def _such_as(values: Sequence[str]) -> str:
    return f", such as {_quoted(values)}" if values else ""


def _quoted(values: Sequence[str]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(f"'{value}'" for value in values[:_SHOWN]) + more
