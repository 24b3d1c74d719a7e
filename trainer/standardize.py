"""Scales the outputs of a hub module for a head to learn from.

Module outputs come in any scale, and learning depends on it. Adam moves each weight by about the learning rate, so a
step moves an output by the rate times the sum of its inputs' magnitudes. On a flattened feature map of 62,720 numbers,
the default rate moves a logit by 50 in one step, and outputs saturate before anything is learned.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from hubline.core.errors import DataError

Points: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
"""Extracts the points to standardize, float32 [points, n], from a batch of vectors or feature maps."""

_LEAST_SHARE = 0.1
"""Lower bound of a dimension's standard deviation, relative to the root mean square over all dimensions: a dimension
that hardly varies in the training split must not outweigh the others when it varies elsewhere."""

_ROUNDING = 1e-6
"""Relative variation below which a dimension counts as constant: float32 has no more digits."""

_NUMBERS = 1024
"""Up to this many dimensions, each gets a standard deviation of 1. More dimensions are scaled down, so that the sum of
their magnitudes stays that of this many."""


class Standardization(tf.keras.layers.Layer):
    """(x - mean) * factor over float32 [..., n], with mean and factor of shape [n]. Masks pass through."""

    def __init__(self, name: str) -> None:
        """A layer that changes nothing until it is adapted."""
        super().__init__(name=name, trainable=False, dtype="float32")  # float16 ends at 65,504
        self.supports_masking = True

    def build(self, shape: tf.TensorShape) -> None:
        """Creates mean and factor as non-trainable weights."""
        size = [shape[-1]]
        self.mean = self.add_weight("mean", size, initializer="zeros", trainable=False)
        self.factor = self.add_weight("factor", size, initializer="ones", trainable=False)
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return (inputs - self.mean) * self.factor

    def adapt(self, moments: "RunningMoments") -> None:
        """Sets mean and factor from moments."""
        self.mean.assign(moments.mean)
        self.factor.assign(factor(moments))


class RunningMoments:
    """Single-pass mean and variance of points, float64 [n]."""

    def __init__(self) -> None:
        self.count = 0
        self._origin: np.ndarray | None = None

    def add(self, points: tf.Tensor) -> None:
        """Adds points, float32 [points, n]."""
        if not len(points):
            return
        if self._origin is None:
            # Sums of squares about a point near the mean lose no digits.
            self._origin = tf.reduce_mean(tf.cast(points, tf.float64), axis=0).numpy()
            self._sum, self._squares = np.zeros_like(self._origin), np.zeros_like(self._origin)
        total, squares = _sums(points, self._origin)
        self.count += len(points)
        self._sum += total.numpy()
        self._squares += squares.numpy()

    @property
    def mean(self) -> np.ndarray:
        assert self._origin is not None
        return self._origin + self._sum / self.count

    @property
    def variance(self) -> np.ndarray:
        return np.maximum(self._squares / self.count - (self._sum / self.count) ** 2, 0.0)


@tf.function(reduce_retracing=True)
def _sums(points: tf.Tensor, origin: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    off = tf.cast(points, tf.float64) - origin
    return tf.reduce_sum(off, axis=0), tf.reduce_sum(tf.square(off), axis=0)


def factor(moments: RunningMoments) -> np.ndarray:
    """Factor for each dimension after its mean is subtracted, float64 [n]. It is independent of the scale of the
    points."""
    deviation = np.sqrt(moments.variance)
    overall = np.sqrt(np.mean(np.square(deviation)))
    size = np.sqrt(np.mean(np.square(moments.mean)) + overall**2)
    counted = np.maximum(deviation, max(_LEAST_SHARE * overall, _ROUNDING * size))
    counted[counted == 0.0] = 1.0  # every number is zero
    return min(1.0, _NUMBERS / len(deviation)) / counted


def adapt(
    layers: Mapping[str, Standardization], points: Mapping[str, Points], batches: Iterable[Mapping[str, tf.Tensor]]
) -> None:
    """Adapts layers to the training split.

    Args:
        layers: Layers by name.
        points: Functions that extract the points from a batch, by the same names.
        batches: Vectors or feature maps by the same names.

    Raises:
        DataError: if a number is not finite.
    """
    moments = {name: RunningMoments() for name in layers}
    for batch in batches:
        for name, found in moments.items():
            found.add(points[name](batch[name]))
    for name, found in moments.items():
        if not found.count:
            continue
        if not (np.isfinite(found.mean).all() and np.isfinite(found.variance).all()):
            raise DataError(f"hubs.{name}: what the module gives for the training split is not finite")
        layers[name].adapt(found)
