"""float64 in tf.Examples, whose floats are float32: each number is stored as three floats that add up to it.

The first float is the float32 nearest to the number, so a tool that reads one float reads the rounded number. The sum
of the three in float64 is the number itself, exact to the last bit for magnitudes between 1e-22 and 3.4e38. Smaller
numbers are off by less than 1e-37.
"""

from __future__ import annotations

import numpy as np

from hubline.core.lazy_import import tf

PARTS = 3
"""Floats per number: three times the 24 bits of a float32 cover 53 bits."""
GREATEST = float(np.finfo(np.float32).max)
"""Largest magnitude that can be stored."""


def to_parts(values: np.ndarray) -> np.ndarray:
    """Splits numbers of any shape into float32 of shape [..., PARTS]."""
    rest, parts = values.astype(np.float64), []
    for _ in range(PARTS):
        parts.append(rest.astype(np.float32))
        rest = rest - parts[-1]
    return np.stack(parts, axis=-1)


def tensor_to_parts(values: tf.Tensor) -> tf.Tensor:
    """The same as `to_parts`, for a tensor."""
    rest, parts = tf.cast(values, tf.float64), []
    for _ in range(PARTS):
        parts.append(tf.cast(rest, tf.float32))
        rest -= tf.cast(parts[-1], tf.float64)
    return tf.stack(parts, axis=-1)


def from_parts(parts: tf.Tensor) -> tf.Tensor:
    """Inverse of `to_parts`: float64 of shape [...]."""
    return tf.reduce_sum(tf.cast(parts, tf.float64), axis=-1)
