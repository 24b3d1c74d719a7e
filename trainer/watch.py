"""Training that is watched from outside, and may be ended after any epoch."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import tensorflow as tf

from hubline.trainer.checkpoints import Checkpoint, PhaseState

History: TypeAlias = Sequence[Mapping[str, float]]
"""Metrics of each epoch so far, over all phases."""

Watch: TypeAlias = Callable[[History], bool]
"""Whether to go on, asked after each epoch."""


class StoppedByWatch(Exception):
    """The watch ended the training; its checkpoint is saved, so that the same job would go on from there."""


class Watched(tf.keras.callbacks.Callback):
    """Asks the watch after each epoch. Comes after `Checkpoints`, which records the epoch."""

    def __init__(self, watch: Watch, checkpoint: Checkpoint, before: History, state: PhaseState) -> None:
        """Args:
        watch: The watch.
        checkpoint: The checkpoint of the phase.
        before: Metrics of the epochs of earlier phases.
        state: Progress of the phase.
        """
        super().__init__()
        self._watch, self._checkpoint, self._before, self._state = watch, checkpoint, tuple(before), state

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if not self._watch([*self._before, *self._state.history]):
            self._checkpoint.save()
            raise StoppedByWatch
