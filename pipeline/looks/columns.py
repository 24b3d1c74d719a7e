"""Looks for columns that no record has, and for columns of another type than their use takes."""

from collections.abc import Iterable, Iterator, Set

from hubline.components.config.data import Data, DataToInfer
from hubline.components.config.evaluation import Evaluation
from hubline.components.config.splits import HashSplit
from hubline.components.example_validator.checks import ColumnUse
from hubline.components.example_validator.requirements import uses_of
from hubline.core.config_errors import Location, PlacedError
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.looks.sample import Sample
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.expression import columns_of_condition
from hubline.preprocessing.feature_columns import encoded_features
from hubline.preprocessing.kinds.crossed import CrossedFeature

_WORDS: dict[ColumnType, str] = {"int": "integers", "float": "floats", "bytes": "texts"}
_FIT: dict[ColumnType, str] = {
    "int": "numeric, bucketized, categorical or timestamp",
    "float": "numeric or bucketized",
    "bytes": "categorical, text or timestamp",
}
"""Kinds of feature for each type of column."""


def features_have_columns(features: Features, feature_names: Set[str], sample: Sample) -> Iterator[PlacedError]:
    read = ((location, use.column) for location, use in _read(features))
    yield from _absent(((place, name) for place, name in read if not _crosses(place, name, feature_names)), sample)


def labels_have_columns(label: Label | None, sample: Sample) -> Iterator[PlacedError]:
    if label is not None and not sample.is_judged:  # otherwise, each record is asked for the label
        yield from _absent(((("label",), column) for column in label.columns), sample)


def slices_have_columns(evaluation: Evaluation, sample: Sample) -> Iterator[PlacedError]:
    yield from _absent(_sliced(evaluation), sample)


def conditions_have_columns(data: Data, sample: Sample) -> Iterator[PlacedError]:
    yield from _absent(_named(data), sample)


def splits_have_columns(data: Data, sample: Sample) -> Iterator[PlacedError]:
    if isinstance(data.split, HashSplit) and data.split.column and not sample.is_judged:
        key = "group" if data.split.group else "stratify"
        yield from _absent([(("data", "split", key), data.split.column)], sample)


def limits_have_columns(data: Data, sample: Sample) -> Iterator[PlacedError]:
    named = data.drift.columns if data.drift else {}
    yield from _absent(((("data", "drift", "columns", column), column) for column in named), sample)


def features_take_the_types(features: Features, feature_names: Set[str], sample: Sample) -> Iterator[PlacedError]:
    for location, use in _read(features):
        if _crosses(location, use.column, feature_names - features.keys()):
            continue
        for record in sample.records if sample.is_judged else ():
            found = record.columns.get(use.column)
            if found is not None and found.values and found.type and found.type not in use.types:
                holds, takes = _WORDS[found.type], " or ".join(_WORDS[each] for each in use.types)
                said = f"holds {holds}, and kind: {use.kind} takes {takes}; {holds} are for kind: {_FIT[found.type]}"
                yield location, f"{record.path}: the column '{use.column}' of {record.name} {said}"
                break


def conditions_take_the_types(data: Data, sample: Sample) -> Iterator[PlacedError]:
    for column, wanted in columns_of_condition(data.where).items() if data.where else ():
        types = {record.columns[column].type for record in sample.records if column in record.columns} - {None}
        if wanted is float and types == {"bytes"}:
            right = "a text is written in single quotes, and compared by == or !="
            yield ("data", "where"), f"the column '{column}' holds texts; {right}"
        elif wanted is str and types and "bytes" not in types:
            yield ("data", "where"), f"the column '{column}' holds numbers; a number is written without quotes"


def columns_that_may_be_absent(
    data: Data | DataToInfer, features: Features, evaluation: Evaluation | None, sample: Sample
) -> Iterator[PlacedError]:
    """Columns that the first records lack, of data that is too large to be searched."""
    of_features = [(location, use.column) for location, use in _read(features)]
    read = [*of_features, *(_sliced(evaluation) if evaluation else ())]
    for location, column in [*read, *(_named(data) if isinstance(data, Data) else ())]:
        if sample.records and sample.lacks(column) is None:
            count = len(sample.records)
            which = "the first record has no" if count == 1 else f"none of {count:,} records has a"
            yield location, f"{which} column '{column}'; {nearest(column, sample.columns)}"


def _read(features: Features) -> Iterator[tuple[Location, ColumnUse]]:
    """Raw columns of features, with where each is named. Images and sounds have looks of their own."""
    for use in uses_of(features):
        name = use.key.removeprefix("features.")
        if name not in encoded_features(features):
            yield _key_of(features, name), use


def _crosses(location: Location, name: str, names: Set[str]) -> bool:
    """Whether a cross names one of these features. What is wrong with that feature is said there."""
    return location[2:] == ("of",) and name in names


def _sliced(evaluation: Evaluation) -> Iterator[tuple[Location, str]]:
    for number, columns in enumerate(evaluation.slices):
        for column in columns:
            yield ("evaluation", "slices", number), column


def _named(data: Data) -> Iterator[tuple[Location, str]]:
    for column in columns_of_condition(data.where) if data.where else ():
        yield ("data", "where"), column


def _absent(columns: Iterable[tuple[Location, str]], sample: Sample) -> Iterator[PlacedError]:
    for location, column in columns:
        if sample.lacks(column):
            yield location, f"no record has a column '{column}'; {nearest(column, sample.columns)}"


def _key_of(features: Features, name: str) -> Location:
    if isinstance(features[name], CrossedFeature):
        return "features", name, "of"
    return ("features", name, "from") if features[name].column else ("features", name)


LOOKS = (features_have_columns, labels_have_columns, features_take_the_types)
LOOKS_TO_TRAIN = (
    slices_have_columns,
    conditions_have_columns,
    splits_have_columns,
    limits_have_columns,
    conditions_take_the_types,
)
DOUBTS = (columns_that_may_be_absent,)
