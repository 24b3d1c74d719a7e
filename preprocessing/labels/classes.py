"""Label kind `class`: one of several classes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.categorical import as_words
from hubline.preprocessing.kinds.kind import Columns, TransformContext
from hubline.preprocessing.labels.label import (
    VOCABULARY,
    ClassesKind,
    ClassNames,
    found_classes,
    position_of,
    values_of,
)


class ClassLabel(ClassesKind):
    """One class per record, an integer or a string."""

    kind: Literal["class"]
    column: str = Field(alias="from", min_length=1, examples=["label"])
    """The column of the label."""
    classes: ClassNames | None = Field(default=None, min_length=2, examples=[["cat", "dog"]])
    """Names of the classes. A string column contains these names, an integer column their positions, from 0. Default:
    the values of the training split, most frequent first."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def named_classes(self) -> tuple[str, ...] | None:
        return self.classes

    @property
    def are_categories(self) -> bool:
        return True

    @property
    def are_known(self) -> bool:
        """True if classes are listed: ingestion validates every record against them."""
        return self.classes is not None

    def index(self, read: TransformContext) -> tf.Tensor:
        """Index of the class; -1 if unknown.

        Without `classes`, classes are ranked by frequency in the training split.
        """
        if self.classes is not None:
            return position_of(values_of(read, self.column), self.classes)
        from hubline.preprocessing.analysis import VocabularyLimits

        words = tf.sparse.map_values(as_words, read(self.column))
        return read.analysis.look_up(VOCABULARY, words, VocabularyLimits()).values

    def names(self, read: Columns) -> tf.Tensor:
        """The class name, or the value itself if `classes` doesn't list it."""
        values = values_of(read, self.column)
        if values.dtype != tf.string and self.classes:
            return tf.gather(tf.constant(list(self.classes)), values)
        return as_words(values)

    def class_names(self, transform: tft.TFTransformOutput) -> list[str]:
        return list(self.classes) if self.classes is not None else found_classes(transform)
