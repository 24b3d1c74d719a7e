"""Raw columns of a record: which are read, and how they are parsed."""

import math
from collections.abc import Iterable
from typing import TypeAlias

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from hubline.core.errors import DataError

ParsingFeature: TypeAlias = tf.io.FixedLenFeature | tf.io.VarLenFeature
ParsingSpec: TypeAlias = dict[str, ParsingFeature]


def parsing_spec(schema: schema_pb2.Schema, columns: Iterable[str]) -> ParsingSpec:
    """Parsing spec for `tf.io.parse_example` that reads the given columns only, as TF Transform does.

    Args:
        schema: Dtypes and shapes of the columns.
        columns: The columns to read.

    Raises:
        DataError: if the schema has no such column.
    """
    known = schema_utils.schema_as_feature_spec(schema).feature_spec
    missing = [column for column in columns if column not in known]
    if missing:
        raise DataError(f"the data has no column '{missing[0]}'; its columns are: {', '.join(sorted(known))}")
    return {column: known[column] for column in columns}


def may_have_several(column: str, schema: schema_pb2.Schema) -> bool:
    """Whether the schema allows a record several values of a column."""
    (feature,) = (feature for feature in schema.feature if feature.name == column)
    if feature.HasField("shape"):
        return math.prod(dim.size for dim in feature.shape.dim) != 1
    return feature.value_count.max != 1


def present(values: tf.Tensor | tf.SparseTensor) -> tf.SparseTensor:
    """The values that are present in a parsed column, sparse [batch, values]. Empty strings and non-finite numbers
    count as missing."""
    if not isinstance(values, tf.SparseTensor):
        values = _all_of(values)
    if values.dtype == tf.string:
        return tf.sparse.retain(values, values.values != "")
    if values.dtype.is_floating:
        return tf.sparse.retain(values, tf.math.is_finite(values.values))
    return values


def _all_of(dense: tf.Tensor) -> tf.SparseTensor:
    """Every value of a dense tensor, [batch] or [batch, ...]; `tf.sparse.from_dense` would drop zeros."""
    rows = tf.shape(dense, tf.int64)[0]
    flat = tf.reshape(dense, tf.stack([rows, -1])) if dense.shape.rank != 1 else dense[:, tf.newaxis]
    shape = tf.shape(flat, tf.int64)
    cells = tf.range(shape[0] * shape[1])
    width = tf.maximum(shape[1], 1)
    return tf.SparseTensor(tf.stack([cells // width, cells % width], axis=1), tf.reshape(flat, [-1]), shape)


def as_parsed(feature: ParsingFeature, values: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
    """Converts one value per record, [batch], or several, [batch, n], to the form that parsing yields.

    Missing values are represented by the smallest integer, NaN or an empty string. Shorter lists are padded with these
    at the end.
    """
    if isinstance(feature, tf.io.VarLenFeature):
        sparse = _all_of(values)
        return tf.sparse.retain(sparse, sparse.values != tf.int64.min) if values.dtype == tf.int64 else sparse
    return tf.reshape(values, [-1, *feature.shape])


def one_each(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """A parsed column with exactly one value per record, as a tensor of shape [batch]."""
    if isinstance(values, tf.SparseTensor):  # an optional column; ingestion has ensured a value in each record
        return values.values
    return tf.reshape(values, [-1])
