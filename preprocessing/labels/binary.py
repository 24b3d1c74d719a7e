"""Label kind `binary`: one of two classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.expression import columns_in, evaluate
from hubline.preprocessing.kinds.kind import Columns
from hubline.preprocessing.labels.label import ClassesKind, position_of, values_of


def _readable(expression: str) -> str:
    columns_in(expression)
    return expression


class BinaryLabel(ClassesKind):
    """One of two classes: a class name, a number, or a comparison of columns."""

    kind: Literal["binary"]
    column: str | None = Field(default=None, alias="from", min_length=1, examples=["clicked"])
    """A column of the two class names, or of numbers."""
    threshold: int | float | None = None
    """Numbers above the threshold belong to the second class. Default: 0.5. Class names have no threshold."""
    where: Annotated[str, AfterValidator(_readable)] | None = Field(default=None, examples=["tips > 0.2 * fare"])
    """In place of `from`: a comparison that is true for the second class. Both sides of <, <=, >, >=, == or != consist
    of numbers, column names, + - * / and parentheses. Double quotes enclose a column name that is not a plain word:
    '"fare amount" > 3'. Integers are added, subtracted, multiplied and compared exactly within 64 bits; everything else
    is computed in 64-bit floats."""
    classes: tuple[str, str] = ("no", "yes")
    """Names of the two classes; the second is the positive one. Precision, recall, F1 and average precision (`pr_auc`)
    are those of the second class."""

    @model_validator(mode="after")
    def _one_way(self) -> BinaryLabel:
        if (self.column is None) == (self.where is None):
            raise ValueError("set either `from`, a column of class names or numbers, or `where`, a comparison")
        if self.where is not None and self.threshold is not None:
            raise ValueError("threshold requires `from`; a comparison has its own")
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
            holds = exact.exceeds(values, 0.5 if self.threshold is None else self.threshold)
        else:
            holds = evaluate(self.where or "", lambda column: exact.NumberColumn.of(values_of(read, column)))
        return tf.cast(holds, tf.int64)

    @property
    def may_be_names(self) -> bool:
        """Whether the column may hold class names rather than numbers."""
        return self.column is not None and self.threshold is None

    @property
    def named_classes(self) -> tuple[str, ...]:
        return self.classes

    def names(self, read: Columns) -> tf.Tensor:
        return tf.gather(tf.constant(list(self.classes)), self.index(read))

    def class_names(self, transform: tft.TFTransformOutput) -> list[str]:
        return list(self.classes)
