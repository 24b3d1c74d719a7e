"""What the workers of a training do together.

TensorFlow's collective operations wait for every worker. So all workers must run the same ones in the same order, and
whatever depends on a clock or on files is decided by the first worker, the chief, for all of them.
"""

import time
from collections.abc import Callable
from functools import cached_property

import tensorflow as tf

from hubline.trainer.workers import Worker


class Team:
    """The workers of a training, from the view of one of them. All of them have to call the same methods."""

    def __init__(self, me: Worker, strategy: tf.distribute.Strategy) -> None:
        """Args:
        me: This worker.
        strategy: The strategy of the training.
        """
        self.me = me
        self._strategy = strategy

    def of_chief(self, *values: float) -> list[float]:
        """The values that the chief calls this with."""
        if self.me.count == 1:
            return list(values)
        mine = values if self.me.is_chief else [0.0] * len(values)
        return self._sum(tf.constant(mine, tf.float64)).numpy().tolist()

    def meet(self) -> None:
        """Waits until all workers are here."""
        self.of_chief(0.0)

    @cached_property
    def _sum(self) -> tf.types.experimental.PolymorphicFunction:
        strategy = self._strategy
        replicas = strategy.num_replicas_in_sync // self.me.count

        def of_replica(values: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            is_first = tf.equal(context.replica_id_in_sync_group % replicas, 0)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.where(is_first, values, tf.zeros_like(values)))

        @tf.function(autograph=False, reduce_retracing=True)
        def total(values: tf.Tensor) -> tf.Tensor:
            return strategy.experimental_local_results(strategy.run(of_replica, args=(values,)))[0]

        return total


class ChiefsClock:
    """The chief's clock, which tells all workers the same time: that of a moment ago, as telling it takes as long as a
    short step. All workers have to read it equally often."""

    _SECONDS, _MOST = 1.0, 1000
    """How old a time may become, and how often it may be read."""

    def __init__(self, team: Team, clock: Callable[[], float] = time.monotonic) -> None:
        """Args:
        team: The workers.
        clock: This worker's clock: seconds since some moment.
        """
        self._team, self._clock = team, clock
        self._now = self._began = clock()
        self._readings = self._left = 0

    def __call__(self) -> float:
        """Seconds since some moment."""
        if self._team.me.count == 1:
            return self._clock()
        if not self._left:
            now = self._clock()
            wanted = round(self._readings * self._SECONDS / max(now - self._began, 1e-3))
            self._now, readings = self._team.of_chief(now, min(max(wanted, 1), self._MOST))
            self._readings = self._left = int(readings)
            self._began = now
        self._left -= 1
        return self._now
