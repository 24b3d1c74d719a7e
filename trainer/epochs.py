"""The epochs of a phase as datasets, beginning where an interrupted run left off."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Part:
    """Consecutive epochs of the same number of steps."""

    data: tf.data.Dataset
    """Batches of one epoch."""
    first: int
    end: int
    """The epoch after the last one."""
    skipped: int = 0
    """Steps of the first epoch that an interrupted run has done."""


class Position(tf.keras.callbacks.Callback):
    """Where a phase is, for the datasets that depend on it; as a callback, moves to the next epoch.

    Datasets read the variables when an epoch begins.
    """

    def __init__(self, epoch: int, step: int, together: int) -> None:
        """Begins within an epoch.

        Args:
            epoch: The epoch, counted from 0 over the whole training.
            step: Steps of this epoch that are done.
            together: Number of batches that are parsed together. Whole groups are skipped before they are parsed, so
                that the remaining examples are parsed in the same groups as in an uninterrupted run: vectorized
                operations may round differently depending on an example's place in its group.
        """
        super().__init__()
        self._step, self._together = step, together
        with tf.device("CPU"):  # where datasets run
            self.epoch = tf.Variable(epoch, dtype=tf.int64, trainable=False)
            self.skipped = tf.Variable(step - step % together, dtype=tf.int64, trainable=False)
        """Batches that are skipped at the beginning of the epoch."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epoch.assign(epoch + 1)
        self.skipped.assign(0)

    def parts(self, data: tf.data.Dataset, end: int, steps: int, last: int) -> Iterator[Part]:
        """The rest of a phase: what is left of an interrupted epoch, the whole epochs, and the last epoch if it is
        shorter.

        Args:
            data: Batches of an epoch without those that are `skipped`.
            end: The epoch after the phase's last one.
            steps: Steps per epoch.
            last: Steps of the last epoch.
        """
        begin, whole = int(self.epoch), end - (last < steps)
        if self._step and begin < end:
            of_group = self._step % self._together
            skipped = self._step - of_group
            left = _first(data, steps - skipped, (steps if begin < whole else last) - skipped)
            yield Part(left.skip(of_group), begin, begin + 1, self._step)
            begin += 1
        if begin < whole:
            yield Part(_first(data, steps, steps), begin, whole)
        if whole < end and begin < end:
            yield Part(_first(data, steps, last), max(begin, whole), end)


def _first(data: tf.data.Dataset, count: int, wanted: int) -> tf.data.Dataset:
    """The first batches of a dataset of `count` batches. Keras runs several steps per call only if the number is
    known."""
    known = data.apply(tf.data.experimental.assert_cardinality(count))
    return known if wanted == count else known.take(wanted)
