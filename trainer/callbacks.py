"""Keras callbacks of training: progress, early stopping and averages of the weights."""

import math
import time
from collections.abc import Callable

import tensorflow as tf

from hubline.core.progress import report
from hubline.trainer.checkpoints import EarlyStoppingState, PhaseState
from hubline.trainer.config.training import EarlyStopping as Config
from hubline.trainer.weight_average import WeightAverage


class Progress(tf.keras.callbacks.Callback):
    """Reports progress in examples over all epochs, and stops training if a loss is not finite."""

    _SECONDS = 0.5  # between two reports, to keep the log of a long training readable

    def __init__(
        self,
        per_epoch: int,
        epochs: int,
        batch_size: int,
        waited: tf.Variable,
        not_finite: Callable[[str, float, int], Exception],
        skipped: int = 0,
    ) -> None:
        """Starts counting.

        Args:
            per_epoch: Examples per epoch.
            epochs: Epochs of the whole training.
            batch_size: Examples per step.
            waited: Total seconds that steps have waited for input, as `inputs.timed` adds them up.
            not_finite: Returns the exception to raise if a metric, by name, has a value that is not finite in an epoch.
            skipped: Steps of the first epoch that an interrupted run has done.
        """
        super().__init__()
        self._per_epoch, self._epochs = per_epoch, epochs
        self._batch_size = batch_size
        self._waited = waited
        self._not_finite = not_finite
        self._skipped, self._epoch = skipped, 0
        self._epoch_began, self._waited_before, self._reported = 0.0, 0.0, 0.0
        self._validation_began: float | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Restarts the clock; time between epochs isn't training time."""
        self._epoch, self._validation_began = epoch, None
        self._epoch_began, self._waited_before = time.monotonic(), float(self._waited)

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        """Stops the clock for validation."""
        self._validation_began = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        self._refuse_not_finite({"loss": loss})
        if time.monotonic() - self._reported >= self._SECONDS:
            self._reported = time.monotonic()
            self._report(min((self._skipped + batch + 1) * self._batch_size, self._per_epoch), loss)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._refuse_not_finite({name: value for name, value in (logs or {}).items() if name in ("loss", "val_loss")})
        self._report(self._per_epoch, (logs or {})["loss"])
        self._skipped = 0

    def _refuse_not_finite(self, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            if not math.isfinite(value):
                raise self._not_finite(name, float(value), self._epoch)

    def _report(self, done_of_epoch: int, loss: float) -> None:
        seconds = max((self._validation_began or time.monotonic()) - self._epoch_began, 1e-6)
        report(
            self._epoch * self._per_epoch + done_of_epoch,
            self._epochs * self._per_epoch,
            "examples",
            epoch=self._epoch + 1,
            epochs=self._epochs,
            loss=loss,
            per_second=(done_of_epoch - self._skipped * self._batch_size) / seconds,
            waiting_for_input=min((float(self._waited) - self._waited_before) / seconds, 1.0),
        )


class EarlyStopping(tf.keras.callbacks.EarlyStopping):
    """Keras' early stopping, able to resume an interrupted phase."""

    def __init__(self, config: Config, state: PhaseState) -> None:
        """Resumes from `state` and keeps it up to date."""
        super().__init__(config.monitor, config.min_delta, config.patience, mode=config.mode, restore_best_weights=True)
        self._state = state

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Restores the best epoch so far."""
        super().on_train_begin(logs)
        if (known := self._state.stopping) is not None:
            self.best, self.best_epoch, self.wait = known.best, known.best_epoch, known.wait
            self.best_weights = list(known.weights)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Leaves the weights alone: training may go on. `Fit` restores those of the best epoch at the end of a
        phase."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compares the epoch with the best one so far and records the result."""
        super().on_epoch_end(epoch, logs)
        self._state.stopping = EarlyStoppingState(
            best=float(self.best),
            best_epoch=self.best_epoch,
            wait=self.wait,
            weights=self.best_weights,
            stopped=self.model.stop_training,
        )


class Averaged(tf.keras.callbacks.Callback):
    """Evaluates the validation split with the averages of the weights. `Unaveraged` puts the weights back; callbacks
    between the two see the averages."""

    def __init__(self, average: WeightAverage) -> None:
        super().__init__()
        self._average = average

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:
        self._average.swap()


class Unaveraged(tf.keras.callbacks.Callback):
    """Puts the weights back."""

    def __init__(self, average: WeightAverage) -> None:
        super().__init__()
        self._average = average

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._average.swap()
