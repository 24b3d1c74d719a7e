"""Finds the label column and chooses its kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hubline.core.errors import UserError
from hubline.pipeline.init.column_profile import ColumnProfile
from hubline.pipeline.init.kinds import SKEWED, Settings, shown
from hubline.trainer.labels import regression

LABELS = ("label", "target", "class", "y")
"""Usual names of a label column, in any case."""
MOST_CLASSES = 100
"""Integers with more distinct values are quantities rather than classes."""
UNEVEN = 5
"""From this ratio of the most to the least frequent class on, classes are uneven."""
LISTED = 20
"""Maximum number of classes that are listed."""


@dataclass(frozen=True)
class LabelSuggestion:
    """The label's section, with comments."""

    settings: Settings
    comment: str
    baseline: str | None
    """Result of a constant prediction, if known."""
    metrics: tuple[str, ...] = ("accuracy", "cross_entropy", "auc")
    thresholds: Mapping[str, Any] = field(default_factory=lambda: {"accuracy": {"no_worse_than_serving_by": 0.01}})
    uneven: str | None = None
    """What to do about rare classes, if there are any."""


def label_name(columns: Sequence[str], name: str | None, objects: Collection[str] = ()) -> str:
    """The column of that name, or else the one with a usual label name or with objects.

    Args:
        columns: Names of all columns.
        name: The name that the user says, if any.
        objects: Columns with classes of boxes, or masks.

    Raises:
        UserError: if there is none, or several are possible; lists the columns.
    """
    usual = [column for column in columns if column.lower() in LABELS or column in objects]
    wanted = usual if name is None else [column for column in columns if column == name]
    if len(wanted) == 1:
        return wanted[0]
    listed = f"the columns are: {', '.join(columns) or 'none'}"
    if name is not None:
        raise UserError(f"there is no column '{name}'; {listed}")
    if wanted:
        raise UserError(f"{' and '.join(wanted)} could be the label; pass --label COLUMN")
    raise UserError(f"no column is named {', '.join(LABELS[:-1])} or {LABELS[-1]}; pass --label COLUMN; {listed}")


def suggest_label(column: ColumnProfile, is_whole: bool) -> LabelSuggestion:
    """A kind for the label: `binary`, `class`, `multilabel` for several values per record, or `regression`.

    Args:
        column: Profile of the label column.
        is_whole: Whether all records were read, so that there are no other classes.

    Raises:
        UserError: if a model cannot learn the column.
    """
    if column.type not in ("integer", "float", "text"):
        raise UserError(f"the label '{column.name}' has {_WRONG[column.type]}; a label must be text or a number")
    if not column.is_single and column.type == "float":
        raise UserError(
            f"the label '{column.name}' has up to {column.most} numbers in a record; a label has one number, or "
            "several strings "
            "or integers that are classes"
        )
    if column.distinct < 2:
        raise UserError(
            f"the label '{column.name}' is {shown(column.frequent[0][0])} in every record"
            f"{'' if is_whole else ' of the sample'}; there is nothing to learn"
        )
    if not column.is_single:
        return _several(column, is_whole)
    of_sample = "" if is_whole else f"; {_SAMPLE}"
    if column.type != "text" and {value for value, _ in column.frequent} == {0, 1}:
        comment = "0 is no, 1 is yes; `classes: [no, yes]` names them otherwise"
        return _classes(column, {"kind": "binary"}, comment + of_sample)
    if column.type == "text" and (names := _no_and_yes(column)):
        comment = "the second class is the positive one"
        return _classes(column, {"kind": "binary", "classes": names}, comment + of_sample)
    if column.type == "float" or (column.type == "integer" and column.distinct > MOST_CLASSES):
        return _number(column)
    settings, comment = named_classes(column, is_whole)
    return _classes(column, {"kind": "class"} | settings, comment)


def _no_and_yes(column: ColumnProfile) -> list[str] | None:
    """The two values, the positive one last, if the words say which that is. Of other pairs, such as `cat` and `dog`,
    only the user knows, so that they are left to kind `class`."""
    values = {value.casefold(): value for value, _ in column.frequent if isinstance(value, str)}
    pair = next((pair for pair in _NO_AND_YES if values.keys() == set(pair)), None)
    return [values[word] for word in pair] if pair and column.distinct == 2 else None


_SAMPLE = "only a sample was read: if other records hold a third value, this is `kind: class`"
_NO_AND_YES = (("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("negative", "positive"))
_WRONG = {"image": "images", "sound": "sounds", "bytes": "bytes that are no text", "nothing": "no value in any record"}


def named_classes(column: ColumnProfile, is_whole: bool) -> tuple[Settings, str]:
    """Class names, if few and known, and a comment."""
    if column.distinct == column.values:
        raise UserError(f"each value of the label '{column.name}' occurs only once; there is nothing to learn")
    if column.distinct > LISTED:
        return {}, "the classes are those of the training split"
    names = sorted((value for value, _ in column.frequent), key=lambda value: (str(type(value)), value))
    if not is_whole:
        return {}, f"the classes are those of the training split; seen: {', '.join(map(shown, names))}"
    if column.type == "integer" and names != list(range(len(names))):
        return {}, f"the classes are the values: {', '.join(map(shown, names))}"
    note = "the names of 0, 1 and so on; better ones may stand here" if column.type == "integer" else "all there are"
    return {"classes": [str(name) for name in names]}, f"classes: {note}"


def _several(column: ColumnProfile, is_whole: bool) -> LabelSuggestion:
    """Any number of classes, including none."""
    if column.type == "integer" and column.fewest == column.most and {value for value, _ in column.frequent} == {0, 1}:
        raise UserError(
            f"the label '{column.name}' has {column.most} zeros and ones in each record; for a multilabel, a "
            "record must hold the numbers of its classes, or one column per class"
        )
    settings, comment = named_classes(column, is_whole)
    value, count = column.frequent[0]
    f1 = 2 * count / (column.records + column.values)
    return LabelSuggestion(
        {"from": column.name, "kind": "multilabel", **settings},
        f"any number of classes in a record; {comment}",
        f"always saying {shown(value)} alone, the most frequent class, has an f1 of {f1:.3f}",
        ("f1", "macro_f1", "exact_match"),
        {"f1": {"no_worse_than_serving_by": 0.01}},
    )


def _classes(column: ColumnProfile, settings: Settings, comment: str) -> LabelSuggestion:
    value, count = column.frequent[0]
    baseline = (
        f"always saying {shown(value)}, the most frequent class, is right in {count / column.values:.1%} of the records"
    )
    label = LabelSuggestion({"from": column.name, **settings}, comment, baseline)
    rarest, rare = column.frequent[-1]
    if len(column.frequent) < column.distinct or count < UNEVEN * rare:
        return label
    uneven = (
        f"Classes are uneven: {count:,} records of {shown(value)}, {rare:,} of {shown(rarest)}. With `class_weights: "
        "balanced` a model finds more of the rare ones, at the cost of accuracy; "
    )
    if settings["kind"] != "binary":
        of_all = "macro_f1 weighs all classes alike."
        return replace(label, metrics=(*label.metrics, "macro_f1"), uneven=uneven + of_all)
    chosen = (
        "`threshold: {maximize: f1}` in `label` chooses the score from which the answer is the second class, and "
        "leaves the scores as they are."
    )
    return replace(label, metrics=(*label.metrics, "precision", "recall", "f1", "pr_auc"), uneven=uneven + chosen)


def _number(column: ColumnProfile) -> LabelSuggestion:
    """A quantity; its logarithm is learned if that reduces the skewness."""
    numbers = column.numbers
    assert numbers is not None
    is_skewed = numbers.minimum > 0 and numbers.skewness > SKEWED
    return LabelSuggestion(
        {"from": column.name, "kind": "regression", "normalize": "log" if is_skewed else "z_score"},
        "a quantity, learned by its logarithm since most values are far below the greatest; all must be above 0"
        if is_skewed
        else "a quantity, learned in standard deviations from its mean",
        baseline=f"always saying the mean, {numbers.mean:.4g}, is off by an rmse of {numbers.deviation:.4g}",
        metrics=regression.TRAINING.metrics,
        thresholds={"rmse": {"no_worse_than_serving_by": float(f"{0.01 * numbers.deviation:.2g}")}},
    )
