"""What a hub module gives, brought to a scale that a head can learn from.

Vectors of a module have any scale, and learning depends on it. Adam moves each weight by about the learning rate, so a
step moves an output by the rate times the sum of the magnitudes that the output is made from: on a flattened feature
map of 62,720 numbers the default rate moves a logit by 50 in one step, and outputs saturate before anything is learned.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from hubline.core.errors import DataError

Points: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
"""From vectors or feature maps of a batch to the points that are standardized, float32 [points, n]."""

_LEAST_SHARE = 0.1
"""The least standard deviation that a dimension counts with, in shares of the root mean square over all dimensions: a
dimension that hardly varies in the training split must not outweigh the others when it varies elsewhere."""

_ROUNDING = 1e-6
"""What varies by a smaller share of its own size is constant: float32 has no more digits."""

_NUMBERS = 1024
"""Up to so many dimensions each has the standard deviation 1; more are scaled down, so that the sum of their magnitudes
stays that of so many."""


class Standardized(tf.keras.layers.Layer):
    """Float32 [..., n], less a mean and times a factor, each [n]. Masks pass through."""

    def __init__(self, name: str) -> None:
        """A layer that changes nothing until it is adapted."""
        super().__init__(name=name, trainable=False)
        self.supports_masking = True

    def build(self, shape: tf.TensorShape) -> None:
        """Makes mean and factor, which no optimizer changes."""
        size = [shape[-1]]
        self.mean = self.add_weight("mean", size, initializer="zeros", trainable=False)
        self.factor = self.add_weight("factor", size, initializer="ones", trainable=False)
        super().build(shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Standardizes."""
        return (inputs - self.mean) * self.factor

    def adapt(self, moments: "Moments") -> None:
        """Takes mean and factor from moments."""
        self.mean.assign(moments.mean)
        self.factor.assign(factor(moments))


class Moments:
    """Mean and variance of points, float64 [n], in one pass."""

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
        """The mean of each dimension."""
        assert self._origin is not None
        return self._origin + self._sum / self.count

    @property
    def variance(self) -> np.ndarray:
        """The variance of each dimension."""
        return np.maximum(self._squares / self.count - (self._sum / self.count) ** 2, 0.0)


@tf.function(reduce_retracing=True)
def _sums(points: tf.Tensor, origin: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    off = tf.cast(points, tf.float64) - origin
    return tf.reduce_sum(off, axis=0), tf.reduce_sum(tf.square(off), axis=0)


def factor(moments: Moments) -> np.ndarray:
    """What dimensions less their mean are multiplied by, float64 [n]; the scale of the numbers has no part in it."""
    deviation = np.sqrt(moments.variance)
    overall = np.sqrt(np.mean(np.square(deviation)))
    size = np.sqrt(np.mean(np.square(moments.mean)) + overall**2)
    counted = np.maximum(deviation, max(_LEAST_SHARE * overall, _ROUNDING * size))
    counted[counted == 0.0] = 1.0  # every number is zero
    return min(1.0, _NUMBERS / len(deviation)) / counted


def adapt(
    layers: Mapping[str, Standardized], points: Mapping[str, Points], batches: Iterable[Mapping[str, tf.Tensor]]
) -> None:
    """Adapts layers to what a training split has.

    Args:
        layers: By what is standardized.
        points: By the same, what takes the points out of a batch.
        batches: By the same, vectors or feature maps.

    Raises:
        DataError: where something is not a finite number.
    """
    moments = {name: Moments() for name in layers}
    for batch in batches:
        for name, found in moments.items():
            found.add(points[name](batch[name]))
    for name, found in moments.items():
        if not found.count:
            continue
        if not (np.isfinite(found.mean).all() and np.isfinite(found.variance).all()):
            raise DataError(f"hubs.{name}: what the module gives for the training split is not finite")
        layers[name].adapt(found)
