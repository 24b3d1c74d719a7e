"""Exponential moving average of the weights.

The decay grows with the number of steps, as in `tf.train.ExponentialMovingAverage` with `num_updates`, so that the
initial weights don't weigh on the average for long.
"""

from collections.abc import Iterable

import tensorflow as tf

_FIRST = tf.VariableAggregation.ONLY_FIRST_REPLICA  # all replicas of a model compute the same averages


class WeightAverage:
    """Averages of variables. After step n, average = decay * average + (1 - decay) * variable, with decay =
    min(decay, (1 + n) / (10 + n))."""

    def __init__(self, decay: float) -> None:
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, aggregation=_FIRST)
        """Steps since the start of training."""
        self._decay = decay
        self._of: dict[object, tuple[tf.Variable, tf.Variable]] = {}

    def cover(self, variables: Iterable[tf.Variable]) -> None:
        """Also averages these variables, from their current values on."""
        for variable in variables:
            if variable.ref() not in self._of:
                self._of[variable.ref()] = variable, tf.Variable(variable, trainable=False, aggregation=_FIRST)

    @property
    def averages(self) -> list[tf.Variable]:
        """The averages, in the order in which their variables were first covered."""
        return [average for _, average in self._of.values()]

    def update(self) -> None:
        """Takes a step, within the graph of a training step."""
        self.step.assign_add(1)
        step = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        for variable, average in self._of.values():
            average.assign_sub(tf.cast(1.0 - decay, average.dtype) * (average - variable))

    def swap(self) -> None:
        """Exchanges the variables and their averages."""
        for variable, average in self._of.values():
            value = variable.numpy()
            variable.assign(average)
            average.assign(value)

    def apply(self) -> None:
        """Sets all variables to their averages."""
        for variable, average in self._of.values():
            variable.assign(average)

    def restart(self) -> None:
        """Sets all averages to the current values of their variables."""
        for variable, average in self._of.values():
            average.assign(variable)
