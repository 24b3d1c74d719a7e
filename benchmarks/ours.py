"""Hubline's side: a pipeline file, run as `hubline run` runs it, with its steps taken down."""

import time
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.harness import StepWatch
from pipeline import run as hubline
from pipeline.display import Display
from pipeline.load import load
from pipeline.result import Step


def run(file: str, root: str, until: str | None = None) -> dict[str, Any]:
    """Runs a pipeline file.

    Args:
        file: The pipeline file.
        root: Where the pipeline keeps what it makes.
        until: The step to stop after, as if the run were interrupted there.

    Raises:
        RuntimeError: where the run fails.
    """
    steps = StepWatch()

    class Watched(Display):
        def started(self, step: str) -> None:
            super().started(step)
            steps.started()

        def finished(self, step: Step) -> None:
            super().finished(step)
            steps.finished(step.id, step.cached)
            if step.id == until:
                raise KeyboardInterrupt

    with mock.patch.object(hubline, "Display", Watched):
        result, _ = hubline.run(Path(file), Path(root), quiet=True)
    if result.status not in ("succeeded", "interrupted" if until else "succeeded"):
        raise RuntimeError(f"{result.status}: {result.error}; {result.log}")
    return {"steps": steps.steps, "figures": dict(result.metrics)}


def train(file: str, root: str) -> dict[str, Any]:
    """Runs a pipeline file of one epoch until its Trainer is done, and listens to the batches that go by.

    Returns:
        Beside the steps the figure `rate`: examples a second.
    """
    import tensorflow as tf

    from benchmarks.bare import rate

    ends: list[float] = []

    class Clock(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            ends.append(time.monotonic())

    fit = tf.keras.Model.fit

    def timed(self: tf.keras.Model, *args: Any, callbacks: Any = (), **options: Any) -> Any:
        return fit(self, *args, callbacks=[*callbacks, Clock()], **options)

    with mock.patch.object(tf.keras.Model, "fit", timed):
        answer = run(file, root, until="Trainer")
    return answer | {"figures": {"rate": rate(ends, load(Path(file))[0].training.batch_size)}}
