"""Checkpoints for resuming an interrupted training: everything that the next step depends on."""

import io
import json
import logging
import math
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from pydantic import TypeAdapter

from hubline.core import interruption, storage
from hubline.core.config_base import Section
from hubline.core.errors import RunError
from hubline.trainer.adapters.keras import random_generators
from hubline.trainer.config.checkpoints import Checkpoints as Config
from hubline.trainer.config.checkpoints import Minutes
from hubline.trainer.config.length import Pace
from hubline.trainer.model import TunedModel
from hubline.trainer.team import Team
from hubline.trainer.variable_names import ATTRIBUTE, named_variables
from hubline.trainer.workers import ALONE

_LOGGER = logging.getLogger(__name__)

NAME = "checkpoint"
"""Prefix of a checkpoint's files in its folder."""

_INDEX = "checkpoints.json"
_FOLDERS = 2**52  # workers tell each other the name as a float64
_TOLD = ("history", "total_steps", "step", "finished")


@dataclass
class EarlyStoppingState:
    """State of early stopping at the end of an epoch."""

    best: float
    best_epoch: int
    wait: int
    """Epochs since the best one."""
    weights: Sequence[np.ndarray]
    """Weights of the best epoch."""
    stopped: bool
    """Whether training has stopped."""

    @property
    def is_defined(self) -> bool:
        """Whether the metric was defined in some epoch."""
        return math.isfinite(self.best)


@dataclass
class PhaseState(tf.train.experimental.PythonState):
    """Progress of a phase, saved within its checkpoint."""

    history: list[dict[str, float]] = field(default_factory=list)
    """Metrics of each finished epoch."""
    total_steps: int = 0
    """Steps of the whole training so far."""
    step: int = 0
    """Steps done in the epoch that is not finished."""
    metrics: Sequence[np.ndarray] = ()
    """State of the metrics after these steps."""
    stopping: EarlyStoppingState | None = None
    finished: bool = False
    """Whether the phase is over and the weights are those that the next phase starts from."""

    def serialize(self) -> bytes:
        """Serializes to NPZ, which can contain numbers and text but no code."""
        told: dict[str, Any] = {name: getattr(self, name) for name in _TOLD}
        arrays = {f"metric_{number}": value for number, value in enumerate(self.metrics)}
        if self.stopping is not None:
            arrays |= {f"weight_{number}": value for number, value in enumerate(self.stopping.weights)}
            told["stopping"] = {
                name: getattr(self.stopping, name) for name in ("best", "best_epoch", "wait", "stopped")
            }
        file = io.BytesIO()
        np.savez(file, told=json.dumps(told), **arrays)
        return file.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        with np.load(io.BytesIO(string_value), allow_pickle=False) as arrays:
            told = json.loads(str(arrays["told"]))
            metrics, weights = (
                [arrays[f"{kind}_{number}"] for number in range(sum(name.startswith(kind) for name in arrays.files))]
                for kind in ("metric", "weight")
            )
        for name in _TOLD:
            setattr(self, name, told[name])
        self.metrics = metrics
        self.stopping = EarlyStoppingState(**told["stopping"], weights=weights) if "stopping" in told else None


class Saved(Section):
    """A complete checkpoint."""

    folder: str
    """Its folder, within that of the phase's checkpoints: a random positive integer."""
    step: int
    """Steps of the whole training before it."""


_SAVED = TypeAdapter(tuple[Saved, ...])


class Checkpoint:
    """The checkpoints of a phase, in a folder that survives a failed or killed run."""

    def __init__(
        self,
        folder: str,
        scratch: str,
        model: TunedModel,
        state: PhaseState,
        keep: int = 2,
        team: Team | None = None,
    ) -> None:
        """Checkpoints of a compiled model.

        Args:
            folder: Folder for the checkpoints of this phase only.
            scratch: A folder on a local disk.
            model: Its variables, its optimizers and the random generators of its layers are saved.
            state: Progress of the phase.
            keep: Number of checkpoints to keep. If the newest can't be read, the one before it is used.
            team: The workers, of which the chief writes the checkpoints.
        """
        self._folder, self._scratch, self._keep = folder, scratch, keep
        self._team = team or Team(ALONE, model.distribute_strategy)
        # The model itself is left out because it tracks metrics, whose state must not carry over to the next epoch.
        # Of a distributed state, TensorFlow would save that of one replica.
        local_results = model.distribute_strategy.experimental_local_results
        generators = [*random_generators(model), *model.module_generators]
        self._parts = tf.train.Checkpoint(
            optimizers=[model.optimizer, *model.layer_optimizers.values()],
            generators=[state for generator in generators for state in local_results(generator.state)],
            averages=[] if model.average is None else [model.average.step, *model.average.averages],
            state=state,
            **{ATTRIBUTE: named_variables(model)},
        )
        self._state = state

    def save(self) -> None:
        """Adds a checkpoint, or replaces that of the same step, and removes the oldest one if there are too many.

        The index changes after all files are written, so an interrupted save is never used.
        """
        if not self._team.me.is_chief:  # TensorFlow reads some variables from all workers at once
            self._parts.write(f"{self._scratch}/unused/{NAME}")
            storage.remove_tree(f"{self._scratch}/unused")
            return
        before, step = saved_in(self._folder), self._state.total_steps
        # Another run of the same training, in another pod, may save at this moment, so the name must not be the next.
        new = Saved(folder=str(secrets.randbelow(_FOLDERS) + 1), step=step)
        with storage.filling(f"{self._folder}/{new.folder}") as folder:
            self._parts.write(f"{folder}/{NAME}")
        kept = [*(one for one in before if one.step != step), new][-self._keep :]
        self._write_index(kept)
        for one in before:
            if one not in kept:
                storage.remove_tree(f"{self._folder}/{one.folder}")

    def restore(self) -> bool:
        """Restores the newest checkpoint that the chief can read, and returns whether there was one.

        Raises:
            RunError: if another worker can't read it, or if it was made on fewer devices.
        """
        mine = self._newest_restored() if self._team.me.is_chief else None
        number = int(*self._team.of_chief(int(mine.folder) if mine else 0))
        if not self._team.me.is_chief and number and not self._restored(Saved(folder=str(number), step=0)):
            raise RunError(
                f"worker {self._team.me.index} can't read the checkpoint {self._folder}/{number}, which worker 0 can; "
                "all workers need the same shared storage"
            )
        return bool(number)

    def _newest_restored(self) -> Saved | None:
        """The newest checkpoint that can be read, after it was."""
        for number, saved in enumerate(known := saved_in(self._folder)[::-1]):
            if self._restored(saved):
                # Newer ones are left out of the index, so that the next checkpoints are the newest.
                self._write_index(known[number:][::-1])
                return saved
        storage.remove_tree(self._folder)
        return None

    def _restored(self, saved: Saved) -> bool:
        # Copied to a path of our own: TensorFlow's reader takes brackets in a path for a glob pattern.
        local = f"{self._scratch}/restored"
        storage.remove_tree(local)
        storage.copy_tree(f"{self._folder}/{saved.folder}", local)
        try:
            reader = tf.train.load_checkpoint(f"{local}/{NAME}")
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)  # verifies the checksums
        except Exception as error:  # the reader raises IndexError, ValueError and others if the file is damaged
            _LOGGER.warning(
                "the checkpoint of step %s in %s can't be read; training resumes from the one before it, if there is "
                "one: %s",
                *(saved.step, self._folder, error),
            )
            return False
        try:
            self._parts.read(f"{local}/{NAME}").assert_existing_objects_matched()
        except AssertionError as error:
            raise RunError(
                f"{self._folder}/{saved.folder}: this checkpoint lacks part of the training's state, as one that was "
                "made on fewer devices does; train on as many GPUs as before (CUDA_VISIBLE_DEVICES), or delete "
                f"{self._folder} to start afresh"
            ) from error
        storage.remove_tree(local)
        return True

    def _write_index(self, saved: Sequence[Saved]) -> None:
        storage.write_bytes(f"{self._folder}/{_INDEX}", _SAVED.dump_json(tuple(saved)))


def saved_in(folder: str) -> tuple[Saved, ...]:
    """The complete checkpoints of a phase, oldest first; an index that is damaged counts as empty."""
    if not storage.exists(path := f"{folder}/{_INDEX}"):
        return ()
    with storage.open_binary(path) as file:
        try:
            return _SAVED.validate_json(file.read())
        except ValueError as error:
            _LOGGER.warning("%s can't be read; its checkpoints are not used: %s", path, error)
            return ()


def keep(folders: Sequence[str], count: int, target: str) -> list[int]:
    """Copies the newest checkpoints of a training, in the layout of `tf.train.CheckpointManager`; returns their steps.

    Args:
        folders: Folders of the phases' checkpoints, in the order of the phases.
        count: Number of checkpoints.
        target: The folder to fill with files such as `checkpoint-500.index`; 500 is the number of steps.
    """
    # A phase that begins with a checkpoint of the step at which the phase before ended replaces it.
    by_step = {saved.step: f"{folder}/{saved.folder}" for folder in folders for saved in saved_in(folder)}
    newest = sorted(by_step)[-count:]
    for step in newest:
        for name in storage.names(by_step[step]):
            storage.copy(f"{by_step[step]}/{name}", f"{target}/{NAME}-{step}{name.removeprefix(NAME)}")
    lines = [f'model_checkpoint_path: "{NAME}-{newest[-1]}"']
    lines += [f'all_model_checkpoint_paths: "{NAME}-{step}"' for step in newest]
    storage.write_text(f"{target}/checkpoint", "".join(f"{line}\n" for line in lines))
    return newest


class Interval:
    """When the next checkpoint is due."""

    EPOCH_SECONDS, STEP_SECONDS = 10.0, 600.0
    """By default, work that a killed run may lose at the end of an epoch and within one."""

    def __init__(self, config: Config, pace: Pace, step: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Starts counting.

        Args:
            config: The settings.
            pace: Turns lengths into steps.
            step: Steps of the whole training so far.
            clock: Seconds since some moment.
        """
        every = config.every
        self._steps = None if every is None or isinstance(every, Minutes) else pace.steps_of(every)
        self._seconds = every.minutes * 60 if isinstance(every, Minutes) else None
        self._clock, self._saved, self._saved_step = clock, clock(), step

    def is_due(self, step: int, ends_epoch: bool) -> bool:
        """Whether a checkpoint is to be saved after `step` steps of the whole training."""
        if self._steps is not None:
            return step // self._steps > self._saved_step // self._steps
        wanted = self._seconds or (self.EPOCH_SECONDS if ends_epoch else self.STEP_SECONDS)
        return self._clock() - self._saved >= wanted

    def saved(self, step: int) -> None:
        """Records that a checkpoint was saved."""
        self._saved, self._saved_step = self._clock(), step


class Checkpoints(tf.keras.callbacks.Callback):
    """Records the progress of a phase and saves its checkpoints, also when the process was asked to end."""

    def __init__(self, checkpoint: Checkpoint, state: PhaseState, interval: Interval, pace: Pace) -> None:
        """Continues from `state`.

        Args:
            checkpoint: Saves the checkpoints.
            state: Progress of the phase, which is kept up to date.
            interval: When to save.
            pace: Steps per epoch.
        """
        super().__init__()
        self._checkpoint, self._state, self._interval, self._pace = checkpoint, state, interval, pace
        self._before = self._skipped = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Restores the metrics of an interrupted epoch; Keras has just reset them."""
        self._before, self._skipped = epoch * self._pace.steps, self._state.step
        if self._skipped:
            for variable, value in zip(self.model.metric_variables, self._state.metrics, strict=True):
                variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Saves within an epoch. The end of the epoch is `on_epoch_end`'s."""
        self._done(batch + 1)
        is_last = batch + 1 >= self.params["steps"]
        if not is_last and (interruption.received() or self._is_due(ends_epoch=False)):
            self._state.metrics = [variable.numpy() for variable in self.model.metric_variables]
            self._save()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Records the epoch, and saves if a checkpoint is due."""
        self._state.history.append({name: float(value) for name, value in (logs or {}).items()})
        self._state.step, self._state.metrics = 0, ()
        if self._is_due(ends_epoch=True):
            self._save()

    def _done(self, steps: int) -> None:
        self._state.step = self._skipped + steps
        self._state.total_steps = self._before + self._state.step

    def _is_due(self, ends_epoch: bool) -> bool:
        return self._interval.is_due(self._state.total_steps, ends_epoch)

    def _save(self) -> None:
        self._checkpoint.save()
        self._interval.saved(self._state.total_steps)
