"""Evaluates `data.where` in TensorFlow, on batches of records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import tensorflow as tf

from hubline.components.example_gen.records import columns_of
from hubline.core.errors import DataError
from hubline.core.tfrecord_recovery import salvage
from hubline.preprocessing.exact_arithmetic import NumberColumn
from hubline.preprocessing.expression import columns_of_condition, holds

_DTYPES = {"int64_list": "int64", "float_list": "float32", "bytes_list": "string"}


@dataclass(frozen=True)
class Where:
    """A condition, with the dtypes that its columns have in some records."""

    condition: str
    dtypes: tuple[tuple[str, str], ...]
    """Column and dtype."""

    def look(self, examples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Whether records meet the condition, and whether each column of the condition has one value, which is not NaN
        or infinite. Records where one hasn't don't meet the condition.

        Args:
            examples: Serialized tf.Examples, string [batch].

        Returns:
            Both bool [batch].

        Raises:
            tf.errors.InvalidArgumentError: if an item is not a tf.Example, or a column has another dtype.
        """
        spec = {name: tf.io.RaggedFeature(tf.as_dtype(dtype), row_splits_dtype=tf.int64) for name, dtype in self.dtypes}
        parsed: Mapping[str, tf.RaggedTensor] = tf.io.parse_example(examples, spec)
        there, values = tf.ones_like(examples, tf.bool), {}
        for name, column in parsed.items():
            # An empty last row starts behind the last value; the appended value stands in for it.
            padded = tf.concat([column.values, tf.zeros([1], column.dtype)], axis=0)
            values[name] = tf.gather(padded, column.row_starts())
            there &= column.row_lengths() == 1
            if column.dtype.is_floating:
                there &= tf.math.is_finite(values[name])
        met = holds(self.condition, lambda name: NumberColumn.of(values[name]), values.__getitem__)
        return there & met, there


def where_in_file(condition: str, path: str, shown: str) -> tuple[Where, tuple[str, ...]]:
    """The condition for the records of a file, and the columns that none of them has.

    Args:
        condition: The condition.
        path: The file. Damaged records are passed over.
        shown: The file's name in messages.

    Raises:
        DataError: if a column holds texts, and the condition compares numbers, or the other way round.
    """
    found: dict[str, str] = {}
    wanted = columns_of_condition(condition).keys()
    for record in salvage(path):
        if not record.fault:
            found |= {name: dtype for name, dtype in _dtypes(record.data, wanted).items() if name not in found}
        if len(found) == len(wanted):
            break
    return _where(condition, found, shown), tuple(name for name in wanted if name not in found)


def where_in_record(condition: str, record: bytes, shown: str) -> Where:
    """The condition for one serialized record; arguments and errors as for `where_in_file`."""
    return _where(condition, _dtypes(record, columns_of_condition(condition)), shown)


def _dtypes(record: bytes, wanted: Iterable[str]) -> dict[str, str]:
    try:
        columns = columns_of(record)
    except DataError:
        return {}
    kinds = {name: columns[name].WhichOneof("kind") for name in wanted if name in columns}
    return {name: _DTYPES[kind] for name, kind in kinds.items() if kind}


def _where(condition: str, found: Mapping[str, str], shown: str) -> Where:
    dtypes = []
    for name, what in columns_of_condition(condition).items():
        dtype = found.get(name, "int64" if what is float else "string")
        if (dtype == "string") != (what is str):
            has, right = (
                ("texts", "a text is written in single quotes, and compared by == or !=")
                if dtype == "string"
                else ("numbers", "a number is written without quotes")
            )
            raise DataError(f"{shown}: the column '{name}' that data.where names holds {has}; {right}: {condition}")
        dtypes.append((name, dtype))
    return Where(condition, tuple(dtypes))
