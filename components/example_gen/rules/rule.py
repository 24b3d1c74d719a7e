"""A rule of the contract of records, and the conditions on values that rules are made of."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Condition:
    """A condition on one value: computed by TensorFlow, and with words for a value that breaks it."""

    holds: Callable[[tf.Tensor], tf.Tensor]
    """Maps values [n] to whether each meets the condition, bool [n]."""
    words: Callable[[Any], str]
    """Describes the fault of a Python value that breaks the condition."""


def all_hold(conditions: Sequence[Condition], values: tf.Tensor) -> tf.Tensor:
    """Whether each of the values [n] meets all conditions, bool [n]."""
    kept = tf.ones_like(values, tf.bool)
    for condition in conditions:
        kept &= condition.holds(values)
    return kept


def broken(conditions: Sequence[Condition], value: Any) -> str | None:
    """The words of the first condition that a value breaks, if any. TensorFlow decides, as it does for a batch."""
    dtype = {bytes: tf.string, int: tf.int64, float: tf.float32}[type(value)]
    values = tf.constant([value], dtype)
    return next((each.words(value) for each in conditions if not bool(each.holds(values)[0])), None)


class Rule(ABC):
    """A rule about one or more columns. `mask` and `fault` reject the same records."""

    @abstractmethod
    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """Dtypes of the columns that `mask` needs.

        Args:
            known: Dtypes of the label's columns in this file, by column.
        """

    @abstractmethod
    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """Whether each record of a batch meets the rule, bool [batch].

        Args:
            parsed: The columns, each [batch, values].
        """

    @abstractmethod
    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """Describes how a record breaks the rule; None if it meets the rule.

        Args:
            columns: The columns of the record.
            known: As for `dtypes`; empty before the first record of a file.
        """


def single(column: tf.RaggedTensor, fit: tf.Tensor) -> tf.Tensor:
    """Rows with exactly one value, which must be valid. `fit` covers the values of all rows, concatenated."""
    # An empty last row starts behind the last value; the appended False stands in for it.
    first = tf.gather(tf.concat([fit, [False]], axis=0), column.row_starts())
    return (column.row_lengths() == 1) & first


def every(column: tf.RaggedTensor, fit: tf.Tensor) -> tf.Tensor:
    """Rows in which every value is valid, including empty rows."""
    return tf.reduce_all(column.with_values(fit), axis=1)
