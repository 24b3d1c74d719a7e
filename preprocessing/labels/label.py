"""What every kind of label has."""

from __future__ import annotations

from preprocessing.kinds.kind import Columns, Read
from preprocessing.lazy import tf, tft
from preprocessing.section import Section

VOCABULARY = "label"
"""The name of the vocabulary that the classes are kept in where they are computed."""


class LabelKind(Section):
    """A kind of label whose values are classes."""

    kind: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The raw columns that it is made from."""
        raise NotImplementedError

    @property
    def are_known(self) -> bool:
        """Whether the classes are known beforehand, so that every record's is one of them."""
        return True

    def index(self, read: Read) -> tf.Tensor:
        """The class of each record by its number, int64 [batch]; a part of `preprocessing_fn`."""
        raise NotImplementedError

    def names(self, read: Columns) -> tf.Tensor:
        """The class of each record by its name, string [batch]."""
        raise NotImplementedError

    def class_names(self, transform: tft.TFTransformOutput) -> list[str]:
        """The names of the classes, by their number."""
        raise NotImplementedError


def values_of(read: Columns, column: str) -> tf.Tensor:
    """The one value of each record, shape [batch]; ingestion has made sure that there is one."""
    return read(column).values
