"""Collects what a pipeline file requires of columns. Runs before the step, whose cache key follows the result."""

from collections.abc import Iterator

from hubline.components.config.data import Data
from hubline.components.config.drift import Drift
from hubline.components.config.evaluation import Evaluation
from hubline.components.example_validator.checks import Checks, ColumnUse
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.feature_columns import encoded_columns, refers_to_feature


def checks_of(
    features: Features, label: Label, evaluation: Evaluation, data: Data, sample_weight: str | None = None
) -> Checks:
    """Collects the requirements from the sections of a pipeline file."""
    return Checks(
        uses=(*uses_of(features), *_uses_of_label(label), *_uses_of_weight(sample_weight)),
        images=tuple(sorted({*encoded_columns(features), *label.masks})),
        sliced=tuple(evaluation.sliced_by),
        drift=(data.drift or Drift()) if data.baseline else None,
    )


def uses_of(features: Features) -> Iterator[ColumnUse]:
    """Raw columns of each feature. Features made from other features have none of their own."""
    for name, feature in features.items():
        for column, types in feature.accepts(name).items():
            if column == name or not refers_to_feature(column, features):
                yield ColumnUse(key=f"features.{name}", kind=feature.kind, column=column, types=types)


def _uses_of_label(label: Label) -> Iterator[ColumnUse]:
    """Any type is accepted, because ingestion has validated the label."""
    for column in label.columns:
        yield ColumnUse(key="label", kind=label.kind, column=column, types=("int", "float", "bytes"))


def _uses_of_weight(column: str | None) -> Iterator[ColumnUse]:
    if column is not None:
        yield ColumnUse(key="training.sample_weight", kind="a sample weight", column=column, types=("int", "float"))
