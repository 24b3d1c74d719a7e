"""What every kind of label has, and every kind whose values are classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.kind import Columns, Read, Values

LABEL = "label.target"
"""The name of the transformed label, which no feature can have."""

VOCABULARY = "label"
"""The name of the vocabulary that the classes are kept in where they are computed."""


def _distinct(classes: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({name for name in classes if classes.count(name) > 1})
    if repeated:
        raise ValueError(f"each class is named once; repeated: {', '.join(repeated)}")
    return classes


ClassNames = Annotated[tuple[str, ...], AfterValidator(_distinct)]
"""The names of classes, by their number."""


class LabelKind(Section):
    """A kind of label. What it does not say otherwise holds for every kind."""

    kind: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that it is made from."""
        raise NotImplementedError

    @property
    def required(self) -> tuple[str, ...]:
        """Those of them that every record must have a value of."""
        return self.columns

    @property
    def masks(self) -> tuple[str, ...]:
        """Those of them that hold encoded masks, which go with images."""
        return ()

    @property
    def has_classes(self) -> bool:
        """Whether its transformed values are the numbers of classes, -1 for one that is not known."""
        return False

    @property
    def has_one_class(self) -> bool:
        """Whether each record has exactly one class."""
        return False

    @property
    def picture(self) -> str | None:
        """The feature whose picture the label is in, if it is in one."""
        return None

    @property
    def are_categories(self) -> bool:
        """Whether a schema holds the integers of the label's columns to their range, as it does for categories."""
        return False

    def class_names(self, transform: tft.TFTransformOutput) -> list[str]:
        """The names of the classes, by their number, where `has_classes`."""
        raise NotImplementedError

    @property
    def can_be_mixed(self) -> bool:
        """Whether a target may lie between those of two records."""
        return False

    @property
    def are_known(self) -> bool:
        """Whether every record, whatever its split, has a target that can be learned."""
        return True

    def transform(self, read: Read) -> dict[str, Values]:
        """What is computed over the whole data set, and what is done to a batch with it: a part of `preprocessing_fn`.

        Args:
            read: Gives the raw columns.

        Returns:
            Under `LABEL`, what the model is to learn of each record: of a class int64 [batch], of any number of classes
            int64 [batch, values], sparse, of a regression float32 [batch], of a class and a box float32 [batch, 5],
            of pixels string [batch].
            Whatever else the model's answer takes may stand beside it, shape [batch].
        """
        raise NotImplementedError


class ClassesKind(LabelKind):
    """A kind of label of which each record has one of several classes."""

    @property
    def has_classes(self) -> bool:
        """Always."""
        return True

    @property
    def has_one_class(self) -> bool:
        """Always."""
        return True

    def transform(self, read: Read) -> dict[str, Values]:
        """The class of each record by its number."""
        return {LABEL: self.index(read)}

    @property
    def can_be_mixed(self) -> bool:
        """As a share of each class."""
        return True

    def index(self, read: Read) -> tf.Tensor:
        """The class of each record by its number, int64 [batch]; -1 where it is not known."""
        raise NotImplementedError

    def names(self, read: Columns) -> tf.Tensor:
        """The class of each record by its name, string [batch]."""
        raise NotImplementedError


def values_of(read: Columns, column: str) -> tf.Tensor:
    """The one value of each record, shape [batch]; ingestion has made sure that there is one."""
    return read(column).values


def position_of(values: tf.Tensor, classes: Sequence[str]) -> tf.Tensor:
    """The position of values, of any shape, among the names of classes, int64: -1 where a string is none of them.
    Integers are positions already."""
    if values.dtype != tf.string:
        return tf.cast(values, tf.int64)
    positions = tf.range(len(classes), dtype=tf.int64)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(list(classes), positions), -1)
    return table.lookup(values)


def found_classes(transform: tft.TFTransformOutput) -> list[str]:
    """The names of the classes that were found in the training split, by their number."""
    return [name.decode() for name in transform.vocabulary_by_name(VOCABULARY)]
