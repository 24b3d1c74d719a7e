"""float64 in tf.Examples, whose floats are float32: a number is written as three floats, which add up to it.

The first of them is the float32 nearest to the number, so a tool that reads one float reads the rounded number; the sum
of the three in float64 is the number itself, to the last bit where its size is between 1e-22 and 3.4e38. Smaller ones
are off by less than 1e-37.
"""

from __future__ import annotations

import numpy as np

from hubline.core.lazy_import import tf

PARTS = 3
"""Floats for each number: 53 bits take three times the 24 bits of a float32."""
GREATEST = float(np.finfo(np.float32).max)
"""What is greater in size cannot be written so."""


def to_parts(values: np.ndarray) -> np.ndarray:
    """Numbers, of any shape, as float32 of shape [..., PARTS]."""
    rest, parts = values.astype(np.float64), []
    for _ in range(PARTS):
        parts.append(rest.astype(np.float32))
        rest = rest - parts[-1]
    return np.stack(parts, axis=-1)


def from_parts(parts: tf.Tensor) -> tf.Tensor:
    """The numbers that `to_parts` took, float64 of shape [...]."""
    return tf.reduce_sum(tf.cast(parts, tf.float64), axis=-1)
