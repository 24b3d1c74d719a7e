"""Checkpoints for resuming an interrupted training: everything that the next step depends on."""

import io
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.core import storage
from hubline.trainer.adapters.keras import random_generators
from hubline.trainer.model import TunedModel

_LOGGER = logging.getLogger(__name__)

_NAME, _LATEST = "checkpoint", "latest"


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


@dataclass
class PhaseState(tf.train.experimental.PythonState):
    """Progress of a phase, saved within its checkpoint."""

    history: list[dict[str, float]] = field(default_factory=list)
    """Metrics of each finished epoch."""
    stopping: EarlyStoppingState | None = None
    finished: bool = False
    """Whether the phase is over and the weights are those that the next phase starts from."""

    def serialize(self) -> bytes:
        """Serializes to NPZ, which can contain numbers and text but no code."""
        told: dict[str, Any] = {"history": self.history, "finished": self.finished}
        weights: Sequence[np.ndarray] = ()
        if self.stopping is not None:
            weights = self.stopping.weights
            told["stopping"] = {
                name: getattr(self.stopping, name) for name in ("best", "best_epoch", "wait", "stopped")
            }
        file = io.BytesIO()
        np.savez(file, *weights, told=json.dumps(told))
        return file.getvalue()

    def deserialize(self, string_value: bytes) -> None:
        with np.load(io.BytesIO(string_value), allow_pickle=False) as arrays:
            told = json.loads(str(arrays["told"]))
            weights = [arrays[f"arr_{number}"] for number in range(len(arrays.files) - 1)]
        self.history, self.finished = told["history"], told["finished"]
        self.stopping = EarlyStoppingState(**told["stopping"], weights=weights) if "stopping" in told else None


class Checkpoint:
    """The checkpoint of a phase, in a folder that survives a failed or killed run."""

    def __init__(self, folder: str, scratch: str, model: TunedModel, state: PhaseState) -> None:
        """A checkpoint of a compiled model.

        Args:
            folder: Folder for this checkpoint only.
            scratch: A folder on a local disk.
            model: Its variables, its optimizers and the random generators of its layers are saved.
            state: Progress of the phase.
        """
        self._folder, self._scratch = folder, scratch
        # The model itself is left out because it tracks metrics, whose state must not carry over to the next epoch.
        self._parts = tf.train.Checkpoint(
            variables=list(model.variables),
            optimizers=[model.optimizer, *model.layer_optimizers.values()],
            generators=[*random_generators(model), *model.module_generators],
            averages=[] if model.average is None else [model.average.step, *model.average.averages],
            state=state,
        )

    def save(self) -> None:
        """Replaces the previous checkpoint. The pointer changes last, so an interrupted save is never used."""
        before = self._latest()
        number = (before or 0) + 1
        storage.remove_tree(f"{self._folder}/{number}")
        with storage.filling(f"{self._folder}/{number}") as folder:
            self._parts.write(f"{folder}/{_NAME}")
        storage.write_text(f"{self._folder}/{_LATEST}", str(number))
        if before is not None:
            storage.remove_tree(f"{self._folder}/{before}")

    def restore(self) -> bool:
        """Restores from the folder, and returns whether it held a readable checkpoint."""
        number = self._latest()
        if number is None:
            return False
        # Copied to a path of our own: TensorFlow's reader takes brackets in a path for a glob pattern.
        local = f"{self._scratch}/restored"
        storage.copy_tree(f"{self._folder}/{number}", local)
        try:
            reader = tf.train.load_checkpoint(f"{local}/{_NAME}")
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)  # verifies the checksums
        except Exception as error:  # the reader raises IndexError, ValueError and others if the file is damaged
            _LOGGER.warning("the checkpoint in %s can't be read; training begins anew: %s", self._folder, error)
            storage.remove_tree(self._folder)
            return False
        self._parts.read(f"{local}/{_NAME}").assert_existing_objects_matched()
        storage.remove_tree(local)
        return True

    def _latest(self) -> int | None:
        """Number of the newest complete checkpoint."""
        path = f"{self._folder}/{_LATEST}"
        if not storage.exists(path):
            return None
        with storage.open_binary(path) as file:
            text = file.read().decode("ascii", "replace").strip()
        return int(text) if text.isascii() and text.isdecimal() else None


class Checkpoints(tf.keras.callbacks.Callback):
    """Records the history of a phase and saves its checkpoint, though not after every one of many short epochs."""

    SECONDS = 10.0  # of work that a killed run may lose

    def __init__(self, checkpoint: Checkpoint, state: PhaseState) -> None:
        super().__init__()
        self._checkpoint, self._state = checkpoint, state
        self._saved = float("-inf")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Records the epoch, and saves if enough time has passed."""
        self._state.history.append({name: float(value) for name, value in (logs or {}).items()})
        if time.monotonic() - self._saved >= self.SECONDS:
            self._checkpoint.save()
            self._saved = time.monotonic()
