"""Base classes of all kinds of label and of those with one class per record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.kind import Columns, TransformContext, Values

LABEL = "label.target"
"""Name of the transformed label; no feature can have it."""

VOCABULARY = "label"
"""Name of the vocabulary of computed classes."""


def _distinct(classes: tuple[str, ...]) -> tuple[str, ...]:
    repeated = sorted({name for name in classes if classes.count(name) > 1})
    if repeated:
        raise ValueError(f"classes must be unique; repeated: {', '.join(repeated)}")
    return classes


ClassNames = Annotated[tuple[str, ...], AfterValidator(_distinct)]
"""Class names by index."""


class LabelKind(Section):
    """Base of all kinds of label, with the defaults that they share."""

    kind: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that the label is made from."""
        raise NotImplementedError

    @property
    def required(self) -> tuple[str, ...]:
        """Columns in which every record must have a value."""
        return self.columns

    @property
    def masks(self) -> tuple[str, ...]:
        """Columns of encoded masks, which are treated like images."""
        return ()

    @property
    def has_classes(self) -> bool:
        """Whether transformed values are class indices, with -1 for unknown classes."""
        return False

    @property
    def has_one_class(self) -> bool:
        """Whether each record has exactly one class."""
        return False

    @property
    def picture(self) -> str | None:
        """The image feature that the label refers to, if any."""
        return None

    @property
    def are_categories(self) -> bool:
        """Whether a schema restricts the label's integers to their range, as it does for categorical features."""
        return False

    @property
    def named_classes(self) -> tuple[str, ...] | None:
        """Class names that the pipeline file gives; None if there are no classes, or they come from the data."""
        return None

    def class_names(self, transform: tft.TFTransformOutput) -> list[str]:
        """Class names in the order of their indices, if `has_classes`."""
        raise NotImplementedError

    @property
    def can_be_mixed(self) -> bool:
        """Whether the targets of two records can be blended."""
        return False

    @property
    def are_known(self) -> bool:
        """Whether every record of any split has a target that can be learned."""
        return True

    def transform(self, read: TransformContext) -> dict[str, Values]:
        """The label's part of the TF Transform `preprocessing_fn`: statistics over the training split, and the
        transformation of a batch.

        Args:
            read: Returns the raw columns.

        Returns:
            The target of each record under `LABEL`: int64 [batch] for one class, sparse int64 [batch, values] for any
            number of classes, float32 [batch] for a regression, float32 [batch, 5] for a class and a box, string
            [batch] for pixels. Further values that the exported model needs may be added, each of shape [batch].
        """
        raise NotImplementedError


class ClassesKind(LabelKind):
    """Base of kinds of label with one of several classes per record."""

    @property
    def has_classes(self) -> bool:
        return True

    @property
    def has_one_class(self) -> bool:
        return True

    def transform(self, read: TransformContext) -> dict[str, Values]:
        """The class index of each record."""
        return {LABEL: self.index(read)}

    @property
    def can_be_mixed(self) -> bool:
        return True

    def index(self, read: TransformContext) -> tf.Tensor:
        """The class index of each record, int64 [batch]; -1 if unknown."""
        raise NotImplementedError

    def names(self, read: Columns) -> tf.Tensor:
        """The class name of each record, string [batch]."""
        raise NotImplementedError


def values_of(read: Columns, column: str) -> tf.Tensor:
    """The single value of each record, shape [batch]; ingestion ensures that there is one."""
    return read(column).values


def position_of(values: tf.Tensor, classes: Sequence[str]) -> tf.Tensor:
    """Indices of values, of any shape, in the class names, int64; -1 for a string that is not a class. Integers are
    indices already."""
    if values.dtype != tf.string:
        return tf.cast(values, tf.int64)
    positions = tf.range(len(classes), dtype=tf.int64)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(list(classes), positions), -1)
    return table.lookup(values)


def found_classes(transform: tft.TFTransformOutput) -> list[str]:
    """Names of the classes found in the training split, by index."""
    return [name.decode() for name in transform.vocabulary_by_name(VOCABULARY)]
