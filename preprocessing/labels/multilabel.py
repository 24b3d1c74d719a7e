"""Label kind `multilabel`: any number of classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.categorical import as_words
from hubline.preprocessing.kinds.kind import Columns, TransformContext
from hubline.preprocessing.labels.label import (
    LABEL,
    VOCABULARY,
    ClassNames,
    LabelKind,
    found_classes,
    position_of,
    values_of,
)


def _named_once(columns: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise ValueError(f"columns must be distinct; repeated: {', '.join(repeated)}")
    return columns


class MultilabelLabel(LabelKind):
    """Any number of classes per record, including none."""

    kind: Literal["multilabel"]
    column: str | None = Field(default=None, alias="from", min_length=1, examples=["tags"])
    """Column with the list of classes of a record, strings or integers. The list may be empty or missing."""
    indicators: Annotated[tuple[str, ...], AfterValidator(_named_once)] | None = Field(
        default=None, alias="columns", min_length=2, examples=[["beach", "city"]]
    )
    """In place of `from`: one column per class, with 1 if the record has the class and 0 if not."""
    classes: ClassNames | None = Field(default=None, min_length=2, examples=[["beach", "city"]])
    """Names of the classes. A string column contains these names, an integer column their positions, from 0; with
    `columns`, they name the columns in order. Default: the values of the training split, most frequent first, or the
    names of the `columns`."""
    threshold: float = Field(default=0.5, gt=0.0, lt=1.0)
    """A class is predicted if its score is at least this high."""

    @model_validator(mode="after")
    def _one_way(self) -> MultilabelLabel:
        if (self.column is None) == (self.indicators is None):
            raise ValueError("set either `from`, the column of a record's classes, or `columns`, one column per class")
        if self.indicators and self.classes and len(self.indicators) != len(self.classes):
            raise ValueError(
                f"there are {len(self.indicators)} columns and {len(self.classes)} classes; there must be one column "
                "per class"
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The single column, or one per class."""
        return (self.column,) if self.column else self.indicators or ()

    @property
    def required(self) -> tuple[str, ...]:
        """The list of classes may be empty, so its column is not required."""
        return self.indicators or ()

    @property
    def has_classes(self) -> bool:
        return True

    @property
    def are_categories(self) -> bool:
        """Whether a single column holds the classes."""
        return self.column is not None

    @property
    def can_be_mixed(self) -> bool:
        return True

    @property
    def named_classes(self) -> tuple[str, ...] | None:
        return self.classes or self.indicators

    def transform(self, read: TransformContext) -> dict[str, tf.SparseTensor]:
        """Class indices of each record, sparse int64 [batch, values]; unknown classes are dropped."""
        positions = self._positions(read)
        return {LABEL: tf.sparse.retain(positions, positions.values >= 0)}

    def names(self, read: Columns) -> tf.SparseTensor:
        """Class names of each record, sparse string [batch, values]. A value that `classes` doesn't list is its own
        name."""
        given = self.named_classes
        values = self._told(read) if self.indicators else read(self.columns[0])
        if given and values.dtype != tf.string:
            return tf.sparse.map_values(lambda numbers: tf.gather(tf.constant(list(given)), numbers), values)
        return tf.sparse.map_values(as_words, values)

    def class_names(self, transform: tft.TFTransformOutput) -> list[str]:
        return list(self.named_classes) if self.named_classes else found_classes(transform)

    def _positions(self, read: TransformContext) -> tf.SparseTensor:
        """Index of each class; -1 if unknown."""
        if self.indicators:
            return self._told(read)
        values, classes = read(self.columns[0]), self.classes
        if classes is not None:
            return tf.sparse.map_values(lambda of_all: position_of(of_all, classes), values)
        from hubline.preprocessing.analysis import VocabularyLimits

        return read.analysis.look_up(VOCABULARY, tf.sparse.map_values(as_words, values), VocabularyLimits())

    def _told(self, read: Columns) -> tf.SparseTensor:
        """Indices of the classes whose column is 1."""
        columns = [tf.cast(values_of(read, column), tf.float32) for column in self.columns]
        are_of = tf.stack(columns, axis=1) > 0.5
        cells = tf.where(are_of)
        return tf.SparseTensor(cells, cells[:, 1], tf.shape(are_of, tf.int64))
