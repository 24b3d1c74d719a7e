"""Label `binary`: whether something holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.expression import columns_in, evaluate
from hubline.preprocessing.kinds.kind import Columns
from hubline.preprocessing.labels.label import ClassesKind, values_of


def _readable(expression: str) -> str:
    columns_in(expression)
    return expression


class BinaryLabel(ClassesKind):
    """One of two classes, by a number or by a comparison of several."""

    kind: Literal["binary"]
    column: str | None = Field(default=None, alias="from", min_length=1, examples=["clicked"])
    """The column that holds a number."""
    threshold: int | float | None = None
    """The number above which a record is of the second class; 0.5 where this is absent."""
    where: Annotated[str, AfterValidator(_readable)] | None = Field(default=None, examples=["tips > 0.2 * fare"])
    """Instead of a column, a comparison of columns that holds for the second class: numbers, names of columns, + - * /
    and brackets on both sides of <, <=, >, >=, == or !=. A name that is not a plain word stands in double quotes, such
    as '"fare amount" > 3'. Whole numbers are added, subtracted, multiplied and compared exactly as far as 64 bits
    reach; all else is calculated in 64-bit floats."""
    classes: tuple[str, str] = ("no", "yes")
    """The names of the two classes; the second is the one that the score is of."""

    @model_validator(mode="after")
    def _one_way(self) -> BinaryLabel:
        if (self.column is None) == (self.where is None):
            raise ValueError("give the column that holds a number (`from`), or a comparison (`where`); one of the two")
        if self.where is not None and self.threshold is not None:
            raise ValueError("a threshold is for a column; a comparison says its own")
        if self.classes[0] == self.classes[1]:
            raise ValueError("the two classes have different names")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The column, or those that are compared."""
        return (self.column,) if self.column else tuple(columns_in(self.where or ""))

    def index(self, read: Columns) -> tf.Tensor:
        """1 where it holds, 0 elsewhere."""
        from hubline.preprocessing import exact_arithmetic as exact

        if self.column:
            holds = exact.exceeds(values_of(read, self.column), 0.5 if self.threshold is None else self.threshold)
        else:
            holds = evaluate(self.where or "", lambda column: exact.Numbers.of(values_of(read, column)))
        return tf.cast(holds, tf.int64)

    def names(self, read: Columns) -> tf.Tensor:
        """The class that it is."""
        return tf.gather(tf.constant(list(self.classes)), self.index(read))

    def class_names(self, transform: tft.TFTransformOutput) -> list[str]:
        """The two."""
        return list(self.classes)
