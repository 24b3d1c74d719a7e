"""Label kind `binary`: one of two classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.expression import columns_in, evaluate
from hubline.preprocessing.kinds.kind import Columns
from hubline.preprocessing.labels.label import ClassesKind, position_of, values_of


def _readable(expression: str) -> str:
    columns_in(expression)
    return expression


class Maximize(Section):
    """The decision threshold with the highest value of a metric on the validation split."""

    maximize: Literal["f1", "macro_f1", "accuracy", "macro_recall"]
    """`f1` is that of the second class. `macro_recall` is the balanced accuracy."""


def _is_score(threshold: float) -> float:
    if not 0.0 < threshold < 1.0:
        raise ValueError(
            "must be above 0 and below 1, as the scores that it divides are; the number above which a column means the "
            "second class is `above`"
        )
    return threshold


Threshold = Annotated[float, AfterValidator(_is_score)]
"""A score between 0 and 1."""


class BinaryLabel(ClassesKind):
    """One of two classes: a class name, a number, or a comparison of columns."""

    kind: Literal["binary"]
    column: str | None = Field(default=None, alias="from", min_length=1, examples=["clicked"])
    """A column of the two class names, or of numbers."""
    above: int | float | None = None
    """Numbers above this belong to the second class. Default: 0.5. Not for class names."""
    where: Annotated[str, AfterValidator(_readable)] | None = Field(default=None, examples=["tips > 0.2 * fare"])
    """In place of `from`: a comparison that is true for the second class. Both sides of <, <=, >, >=, == or != consist
    of numbers, column names, + - * / and parentheses. Double quotes enclose a column name that is not a plain word:
    '"fare amount" > 3'. Integers are added, subtracted, multiplied and compared exactly within 64 bits; everything else
    is computed in 64-bit floats."""
    classes: tuple[str, str] = ("no", "yes")
    """Names of the two classes; the second is the positive one. Precision, recall, F1 and average precision (`pr_auc`)
    are those of the second class."""
    threshold: Threshold | Maximize | None = Field(default=None, examples=[0.3, {"maximize": "f1"}])
    """Score of the second class from which the model predicts that class: a number, or {maximize: METRIC} for the one
    with the highest `f1`, `macro_f1`, `accuracy` or `macro_recall` (balanced accuracy) on the validation split. The
    exported model decides by this threshold, and so do the metrics. Default: the class with the higher score."""

    @model_validator(mode="after")
    def _one_way(self) -> BinaryLabel:
        if (self.column is None) == (self.where is None):
            raise ValueError("set either `from`, a column of class names or numbers, or `where`, a comparison")
        if self.where is not None and self.above is not None:
            raise ValueError("above requires `from`; a comparison has its own")
        if self.classes[0] == self.classes[1]:
            raise ValueError("the two classes must have different names")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, or the columns that are compared."""
        return (self.column,) if self.column else tuple(columns_in(self.where or ""))

    def index(self, read: Columns) -> tf.Tensor:
        """Index of the class: 1 for the second class, 0 for the first; int64 [batch]."""
        from hubline.preprocessing import exact_arithmetic as exact

        if self.column:
            values = values_of(read, self.column)
            if values.dtype == tf.string:
                return position_of(values, self.classes)
            holds = exact.exceeds(values, 0.5 if self.above is None else self.above)
        else:
            holds = evaluate(self.where or "", lambda column: exact.NumberColumn.of(values_of(read, column)))
        return tf.cast(holds, tf.int64)

    @property
    def may_be_names(self) -> bool:
        """Whether the column may hold class names rather than numbers."""
        return self.column is not None and self.above is None

    @property
    def named_classes(self) -> tuple[str, ...]:
        return self.classes

    def names(self, read: Columns) -> tf.Tensor:
        return tf.gather(tf.constant(list(self.classes)), self.index(read))

    def class_names(self, transform: tft.TFTransformOutput) -> list[str]:
        return list(self.classes)
