"""The raw columns of a record: which are read, and how they are parsed."""

from collections.abc import Iterable
from typing import TypeAlias

import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from preprocessing.config import Features, column_of
from preprocessing.errors import DataError

ParsingFeature: TypeAlias = tf.io.FixedLenFeature | tf.io.VarLenFeature
ParsingSpec: TypeAlias = dict[str, ParsingFeature]


def input_columns(features: Features) -> list[str]:
    """The raw columns that the model reads, each once."""
    return list(dict.fromkeys(column_of(name, feature) for name, feature in features.items()))


def parsing_spec(schema: schema_pb2.Schema, columns: Iterable[str]) -> ParsingSpec:
    """What `tf.io.parse_example` needs to read some columns, and no others, as TF Transform does.

    Args:
        schema: Tells the columns' dtypes and shapes.
        columns: The columns to read.

    Raises:
        DataError: where the schema has no such column.
    """
    known = schema_utils.schema_as_feature_spec(schema).feature_spec
    missing = [column for column in columns if column not in known]
    if missing:
        raise DataError(f"the data has no column '{missing[0]}'; its columns are: {', '.join(sorted(known))}")
    return {column: known[column] for column in columns}


def as_parsed(feature: ParsingFeature, values: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
    """One value a record, shape [batch], in the form in which parsing would have given it."""
    if isinstance(feature, tf.io.VarLenFeature):
        count = tf.shape(values, out_type=tf.int64)[0]
        indices = tf.stack([tf.range(count), tf.zeros([count], tf.int64)], axis=1)
        return tf.SparseTensor(indices, values, tf.stack([count, 1]))
    return tf.reshape(values, [-1, *feature.shape])


def one_each(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """A column that has one value in each record, as parsed, as a tensor of shape [batch]."""
    if isinstance(values, tf.SparseTensor):  # an optional column, of which ingestion made sure that each record has one
        return values.values
    return tf.reshape(values, [-1])
