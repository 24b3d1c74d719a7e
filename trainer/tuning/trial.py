"""Runs one trial: a training without an export."""

import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace

import tensorflow as tf
from pydantic import JsonValue

from hubline.core.config_base import Section
from hubline.core.errors import DamageError, DataError, RunError, tensorflow_reason
from hubline.trainer.config.checkpoints import Checkpoints
from hubline.trainer.config.tensorboard import TensorBoard
from hubline.trainer.config.training import EarlyStopping, Training
from hubline.trainer.config.tuning import with_values
from hubline.trainer.counts import holding
from hubline.trainer.fit import Fit
from hubline.trainer.job import Job
from hubline.trainer.metric_names import metric_of
from hubline.trainer.tuning.results import Trial
from hubline.trainer.untrained import untrained
from hubline.trainer.watch import History, StoppedByWatch


class Task(Section):
    """A trial to run."""

    number: int
    values: dict[str, JsonValue]
    objective: str
    checkpoints: str
    """A folder that survives a killed process; the same trial, or one that continues it, goes on from there."""
    epochs: int | None = None
    """Epoch to stop after; None to train to the end."""
    continues: int | None = None
    medians: tuple[float, ...] = ()
    """Median objective of earlier trials after each epoch, which a trial must reach to go on. Ends where too few trials
    trained that long."""


def run_trial(job: Job, task: Task) -> Trial:
    """Trains with the values of a trial.

    Args:
        job: The training, whose `model` and `training` the values change.
        task: The trial.

    Returns:
        The result. A trial fails if its loss is not finite, or if it doesn't fit the memory of a GPU.

    Raises:
        UserError: if the training can't run for another reason.
    """
    began = time.monotonic()
    model, training = with_values(job.model, job.training, task.values)
    if (metric := metric_of(task.objective)) is not None:
        training = training.model_copy(update={"metrics": (*training.metrics, metric)})
    mode = EarlyStopping(monitor=task.objective).mode
    history: list[float] = []
    reached: list[History] = [()]

    def goes_on(metrics: History) -> bool:
        reached[0] = metrics
        history[:] = [float(epoch[task.objective]) for epoch in metrics]
        return not (len(metrics) == task.epochs or _is_below_median(history, task.medians, mode))

    def result(status: str, objective: float | None, error: str | None = None) -> Trial:
        content = {
            "number": task.number,
            "values": task.values,
            "status": status,
            "objective": objective,
            "error": error,
        }
        content |= {"continues": task.continues, "history": [value for value in history if math.isfinite(value)]}
        return Trial.model_validate(content | {"epochs": len(history), "seconds": round(time.monotonic() - began, 3)})

    with tempfile.TemporaryDirectory() as scratch, holding({"train": job.train, "validation": job.validation}):
        changed = replace(job, model=model, training=_unlogged(training), logs=f"{scratch}/logs")
        try:
            fit = Fit(changed, untrained(changed, [], is_exported=False), scratch, [], [], goes_on)
            fit.train_all(task.checkpoints)
        except StoppedByWatch:
            epoch = _selected(reached[0], training.selection)
            return result("stopped", history[epoch])
        except RunError as error:
            if isinstance(error, DataError | DamageError):
                raise
            return result("failed", None, str(error))
        except tf.errors.ResourceExhaustedError as error:
            return result("failed", None, f"out of memory: {tensorflow_reason(error)}")
    goes_on(fit.history)
    objective = history[fit.exported_epoch]
    if not math.isfinite(objective):
        return result("failed", None, f"{task.objective} is {objective} after epoch {fit.exported_epoch + 1}")
    return result("completed", objective)


def _unlogged(training: Training) -> Training:
    """The training with a single checkpoint and short logs. Nobody sees those of a trial."""
    return training.model_copy(update={"checkpoints": Checkpoints(), "tensorboard": TensorBoard()})


def _is_below_median(history: Sequence[float], medians: Sequence[float], mode: str) -> bool:
    """Whether the best value so far is worse than the median of earlier trials at the same epoch."""
    epoch = len(history) - 1
    if epoch >= len(medians):
        return False
    return min(history) > medians[epoch] if mode == "min" else max(history) < medians[epoch]


def _selected(metrics: History, selection: EarlyStopping | None) -> int:
    """The epoch that would be exported if training ended here."""
    if selection is None:
        return len(metrics) - 1
    sign = 1 if selection.mode == "min" else -1
    return min(range(len(metrics)), key=lambda epoch: sign * metrics[epoch][selection.monitor])
