"""Traces numbers that are not finite to their hub module, output and record."""

import numpy as np
import tensorflow as tf

from hubline.core.errors import DataError


def are_finite(values: tf.Tensor) -> tf.Tensor:
    """Whether all numbers of each example are finite.

    Args:
        values: [batch, ...]. Other dtypes than floats are always finite.

    Returns:
        bool [batch].
    """
    if not values.dtype.is_floating:
        return tf.ones(tf.shape(values)[:1], tf.bool)
    each = tf.math.is_finite(tf.reshape(values, tf.stack([tf.shape(values)[0], tf.reduce_prod(tf.shape(values)[1:])])))
    return tf.reduce_all(each, axis=1)


def not_finite(hub: str, output: str, values: np.ndarray, where: str) -> DataError:
    """The error about a module that returns NaN or infinity for a record.

    Args:
        hub: Name of the module in `hubs`.
        output: Name of the output.
        values: The module's output for the record, of any shape.
        where: The record, for example `data.tfrecord: record 3 (counted from 0)`.
    """
    return DataError(f"{where}: hubs.{hub}: {described(output, values)}")


def described(output: str, values: np.ndarray) -> str:
    """Describes an output that is not finite, with advice."""
    bad = values[~np.isfinite(values)]
    return (
        f"the module's output '{output}' is {bad.ravel()[0]} in {bad.size:,} of {values.size:,} numbers; are "
        "value_range and standardize of the feature what the module takes, and is the module itself sound?"
    )
