"""When checkpoints are due, and which trainings resume from them."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.components.training_job import job_key
from hubline.core import interruption, storage
from hubline.trainer.checkpoints import NAME, Checkpoint, Interval, PhaseState, saved_in
from hubline.trainer.checkpoints import Checkpoints as CheckpointCallback
from hubline.trainer.config.checkpoints import Checkpoints
from hubline.trainer.config.length import Epochs, Pace, Steps
from hubline.trainer.model import TunedModel

PACE = Pace.of(Steps(steps=1000), examples=400, batch_size=4)  # 100 steps per epoch


@pytest.mark.parametrize(
    ("every", "due"),
    [
        (250, [264, 500, 764, 1000]),  # calls of 32 steps; the rest of an epoch is a call of its own
        ({"epochs": 2}, [200, 400, 600, 800, 1000]),
        ({"share": 0.5}, [500, 1000]),
        ({"examples": 1997}, [500, 1000]),
    ],
)
def test_a_checkpoint_is_due_after_every_so_many_steps_of_the_whole_training(every, due: list[int]) -> None:
    interval = Interval(Checkpoints.model_validate({"every": every}), PACE, step=0)
    found = []
    for step in [epoch * 100 + done for epoch in range(10) for done in (32, 64, 96, 100)]:
        if interval.is_due(step, ends_epoch=step % 100 == 0):
            interval.saved(step)
            found.append(step)
    assert found == due
    resumed = Interval(Checkpoints.model_validate({"every": every}), PACE, step=due[0])
    assert not resumed.is_due(due[0], ends_epoch=False) and resumed.is_due(due[1], ends_epoch=False)


def test_a_checkpoint_is_due_after_a_time() -> None:
    now = 0.0
    by_default, each = (
        Interval(config, PACE, step=0, clock=lambda: now)
        for config in (Checkpoints(), Checkpoints.model_validate({"every": {"minutes": 0.5}}))
    )
    now = 9.0
    assert not by_default.is_due(100, ends_epoch=True)
    now = 10.0
    assert by_default.is_due(100, ends_epoch=True) and not by_default.is_due(64, ends_epoch=False)
    assert not each.is_due(100, ends_epoch=True)
    now = 30.0
    assert each.is_due(100, ends_epoch=True) and each.is_due(64, ends_epoch=False)
    by_default.saved(64)
    now = 630.0
    assert by_default.is_due(164, ends_epoch=False)


class Recorded:
    """In place of a `Checkpoint`: what the state was when it was saved."""

    def __init__(self, state: PhaseState) -> None:
        self._state = state
        self.saved: list[tuple[int, int, list[float]]] = []

    def save(self) -> None:
        metrics = [float(value) for value in self._state.metrics]
        self.saved.append((self._state.total_steps, self._state.step, metrics))


def test_a_checkpoint_is_saved_when_the_process_is_asked_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    given = tf.keras.Input([1])
    dense = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")
    model = TunedModel(inputs=given, outputs=dense(given))
    model.compile(optimizer=tf.keras.optimizers.SGD(0.0), loss="mse")
    targets = np.arange(24, dtype=np.float32)[:, np.newaxis]
    data = tf.data.Dataset.from_tensor_slices((np.ones([24, 1], np.float32), targets)).batch(4)
    state = PhaseState(total_steps=12)
    pace = Pace.of(Epochs(epochs=4), examples=24, batch_size=4)  # 6 steps per epoch
    recorded = Recorded(state)
    interval = Interval(Checkpoints.model_validate({"every": 10}), pace, step=12)
    asked: list[int] = []
    monkeypatch.setattr(interruption, "received", lambda: signal.SIGTERM if asked else None)
    at_third = tf.keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, _: asked.append(batch) if batch == 2 else asked.clear()
    )
    callbacks = [at_third, CheckpointCallback(recorded, state, interval, pace)]
    model.fit(data, initial_epoch=2, epochs=4, callbacks=callbacks, verbose=0)
    squares = targets[:12, 0] ** 2  # those of the first three batches; the model predicts 0
    first, due, third = recorded.saved
    assert (first[:2], due[:2], third[:2]) == ((15, 3), (20, 2), (21, 3))
    assert first[2] == third[2] == pytest.approx([squares.mean() * 3, 3]) or first[2] == pytest.approx(
        [squares.sum(), 12]
    )
    assert [len(each) for each in (state.history, state.metrics)] == [2, 0] and state.total_steps == 24


def test_a_training_resumes_whatever_the_interval_but_not_with_other_values() -> None:
    def key(warm_start: str = "", **training: object) -> str:
        return job_key({}, {"training": json.dumps({"epochs": 3, **training}), "warm_start": warm_start})

    assert key() == key(checkpoints={"every": {"steps": 5}}) == key(checkpoints={"max_to_keep": 2})
    assert len({key(), key(seed=1), key(warm_start='{"path": "a"}')}) == 3


def saving(folder: str, scratch: str, steps: int) -> Checkpoint:
    """The checkpoints of a training that has done some steps; its only weight is the number of these steps."""
    given = tf.keras.Input([1])
    dense = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="dense")
    model = TunedModel(inputs=given, outputs=dense(given))
    model.compile(optimizer=tf.keras.optimizers.SGD(0.0), loss="mse")
    dense.kernel.assign([[float(steps)]])
    return Checkpoint(folder, scratch, model, PhaseState(total_steps=steps))


def test_two_trainings_that_share_a_folder_leave_checkpoints_that_are_what_the_index_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, write = str(tmp_path / "shared"), storage.write_bytes
    one, other = (saving(folder, str(tmp_path / f"{steps}"), steps) for steps in (30, 10))
    meanwhile = [other]

    def write_after_the_other(path: str, content: bytes) -> None:
        if meanwhile:  # the files of one are written, and its index isn't
            meanwhile.pop().save()
        write(path, content)

    monkeypatch.setattr(storage, "write_bytes", write_after_the_other)
    one.save()
    for saved in saved_in(folder):
        checkpoint = tf.train.load_checkpoint(f"{folder}/{saved.folder}/{NAME}")
        (kernel,) = (name for name in checkpoint.get_variable_to_shape_map() if "kernel" in name)
        assert checkpoint.get_tensor(kernel) == saved.step
    assert [saved.step for saved in saved_in(folder)] == [30]
