"""What goes along with a training: progress, checkpoints."""

import time

import tensorflow as tf

from preprocessing.errors import RunError
from preprocessing.progress import report
from trainer.checkpoint_files import drop_broken


class Progress(tf.keras.callbacks.Callback):
    """Reports examples trained, of those in all epochs, and stops at a loss that is not a number."""

    _SECONDS = 0.5  # between two reports, so that a log of a long training stays readable

    def __init__(self, per_epoch: int, epochs: int, batch_size: int, waited: tf.Variable) -> None:
        """Begins to count.

        Args:
            per_epoch: Examples in an epoch.
            epochs: Epochs of the whole training.
            batch_size: Examples in a step.
            waited: The seconds that steps have waited for their input so far, as `inputs.timed` adds them up.
        """
        super().__init__()
        self._per_epoch = per_epoch
        self._total = per_epoch * epochs
        self._batch_size = batch_size
        self._waited = waited
        self._epoch = 0
        self._epoch_began, self._waited_before, self._reported = 0.0, 0.0, 0.0
        self._validation_began: float | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Begins to count anew: what lies between two epochs is not training."""
        self._epoch, self._validation_began = epoch, None
        self._epoch_began, self._waited_before = time.monotonic(), float(self._waited)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Stops the clock for validation."""
        self._validation_began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Reports now and then."""
        if time.monotonic() - self._reported >= self._SECONDS:
            self._reported = time.monotonic()
            self._report(min((batch + 1) * self._batch_size, self._per_epoch), (logs or {})["loss"])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Reports, and looks at the loss.

        Raises:
            RunError: where it is not a number.
        """
        loss = (logs or {})["loss"]
        if not tf.math.is_finite(loss):
            rate = float(self.model.optimizer.learning_rate)
            raise RunError(f"the loss became {loss} in epoch {epoch + 1}; try a learning rate below {rate:g}")
        self._report(self._per_epoch, loss)

    def _report(self, done_of_epoch: int, loss: float) -> None:
        seconds = max((self._validation_began or time.monotonic()) - self._epoch_began, 1e-6)
        report(
            self._epoch * self._per_epoch + done_of_epoch,
            self._total,
            "examples",
            epoch=self._epoch + 1,
            loss=loss,
            per_second=done_of_epoch / seconds,
            waiting_for_input=min((float(self._waited) - self._waited_before) / seconds, 1.0),
        )


class Checkpoints(tf.keras.callbacks.BackupAndRestore):
    """Keeps what an interrupted training goes on from, and not after every one of many short epochs."""

    _SECONDS = 10.0  # of work that a killed run may lose

    def __init__(self, folder: str) -> None:
        """Goes on from what the folder holds, and keeps checkpoints in it."""
        super().__init__(folder, delete_checkpoint=False)
        self._saved = float("-inf")

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Goes on from the newest checkpoint that is whole."""
        drop_broken(f"{self.backup_dir}/chief")
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Saves, if it is time to or the training is at its end."""
        now = time.monotonic()
        if now - self._saved >= self._SECONDS or epoch + 1 == self.params["epochs"]:
            self._saved = now
            super().on_epoch_end(epoch, logs)
