"""TensorBoard logs: curves, weights and profiles of each phase; the graph, images and hyperparameters of the model."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as hparams_summary

from hubline.core.errors import UserError
from hubline.preprocessing.feature_columns import images
from hubline.trainer.adapters.keras import validation_writer
from hubline.trainer.config.length import Pace
from hubline.trainer.config.training import Training
from hubline.trainer.datasets import batches
from hubline.trainer.job import Job
from hubline.trainer.model import TunedModel
from hubline.trainer.phases import Phase
from hubline.trainer.task import Task

_SHUFFLED = 16
"""Images to draw each logged image from."""


class TensorBoard(tf.keras.callbacks.TensorBoard):
    """Logs of one phase, with steps and epochs counted over the whole training."""

    def __init__(
        self,
        folder: str,
        first: int,
        history: Sequence[dict[str, float]],
        steps_before: int,
        histograms: bool = False,
        profile: tuple[int, int] | None = None,
    ) -> None:
        """Logs one phase.

        Args:
            folder: The folder to write to.
            first: First epoch of the phase.
            history: Metrics of the epochs that an interrupted run finished; they are logged again.
            steps_before: Number of steps in all earlier phases.
            histograms: Whether to log histograms of the weights after every epoch.
            profile: First and last batch callback to profile, from 1, as `profiled_calls` returns them.
        """
        super().__init__(folder, write_graph=False, profile_batch=profile or 0)
        self._histograms = histograms
        self._first, self._history, self._steps_before = first, tuple(history), steps_before

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Logs the epochs that an interrupted run finished, without the weights, which are those of the last one."""
        super().on_train_begin(logs)
        for number, metrics in enumerate(self._history):
            super().on_epoch_end(self._first + number, metrics)
        self.histogram_freq = int(self._histograms)

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        """Logs validation at the step counted over all phases: Keras counts by the optimizer, which is new in each
        phase."""
        steps = self._steps_before + int(self.model.optimizer.iterations.numpy())
        with validation_writer(self).as_default():
            for name, value in (logs or {}).items():
                tf.summary.scalar(f"evaluation_{name}_vs_iterations", value, step=steps)
        super().on_test_end({})


class LearningRate(tf.keras.callbacks.Callback):
    """Adds the learning rate after each epoch, which is that of the next step, to the metrics of the epoch."""

    def __init__(self, rate: float | Callable[[tf.Tensor], tf.Tensor]) -> None:
        """Args:
        rate: The learning rate, a constant or a function of the optimizer's steps.
        """
        super().__init__()
        self._rate = rate

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if logs is not None:
            rate = self._rate(self.model.optimizer.iterations) if callable(self._rate) else self._rate
            logs["learning_rate"] = float(rate)


def check_profile(training: Training, pace: Pace) -> None:
    """Checks that the steps to profile are steps of the training.

    Raises:
        UserError: if the training is shorter.
    """
    steps = training.tensorboard.profile
    if steps is not None and steps[1] > pace.total:
        raise UserError(
            f"training.tensorboard.profile ends at step {steps[1]:,}, and there are {pace.total:,} steps "
            f"({pace.steps:,} per epoch); profile earlier steps, or train longer"
        )


def profiled_calls(
    steps: tuple[int, int] | None, pace: Pace, begin: int, until: int, steps_per_call: int
) -> tuple[int, int] | None:
    """The calls of TensorFlow in which `fit` executes some of the steps to profile.

    Args:
        steps: First and last step to profile, from 1 over the whole training.
        pace: Steps per epoch.
        begin: First epoch of the `fit`.
        until: The epoch after the last one.
        steps_per_call: Steps that Keras executes per call; the last call of an epoch may have fewer.

    Returns:
        Numbers of the first and the last call, from 1; None if the `fit` has none of the steps.
    """
    before, after = begin * pace.steps, until * pace.steps
    if steps is None or steps[0] > after or steps[1] <= before:
        return None
    calls_per_epoch = -(-pace.steps // steps_per_call)

    def call(step: int) -> int:
        epoch, of_epoch = divmod(step - 1 - before, pace.steps)
        return epoch * calls_per_epoch + of_epoch // steps_per_call + 1

    return call(max(steps[0], before + 1)), call(min(steps[1], after))


def log_model(job: Job, task: Task, transform: Callable, whole: TunedModel, first: Phase) -> None:
    """Logs hyperparameters, the graph of the model, and some training images.

    Args:
        job: The training run.
        task: The model's task.
        transform: The transform graph.
        whole: The model with its hub modules.
        first: The first phase.
    """
    with tf.summary.create_file_writer(job.logs).as_default(step=0):
        hparams.hparams(hyperparameters(job))
        tf.summary.graph(_graph(whole))
        for name, pixels in training_images(job, task, transform, first).items():
            tf.summary.image(name, pixels, max_outputs=len(pixels))


def log_end(job: Job) -> None:
    """Logs that the training ended well."""
    end = hparams_summary.session_end_pb(api_pb2.STATUS_SUCCESS)
    with tf.summary.create_file_writer(job.logs).as_default(step=0):
        tf.summary.experimental.write_raw_pb(end.SerializeToString())


def hyperparameters(job: Job) -> dict[str, bool | int | float | str]:
    """The values of `model` and `training` by their key in the pipeline file, such as `training.optimizer.name`."""
    training = job.training.model_dump(mode="json", by_alias=True, exclude={"tensorboard"})
    return flat({"model": job.model.model_dump(mode="json", by_alias=True), "training": training})


def flat(sections: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """The values of nested sections by dotted key, lists as JSON; empty values are left out."""
    return dict(_flat(sections))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str):
            yield prefix + key, value
        elif value:
            yield prefix + key, json.dumps(value)


def _graph(whole: TunedModel) -> tf.Graph:
    """The graph of the model in inference."""
    inputs = {name: tensor.type_spec for name, tensor in whole.input.items()}
    return tf.function(lambda given: whole(given, training=False), autograph=False).get_concrete_function(inputs).graph


def training_images(job: Job, task: Task, transform: Callable, first: Phase) -> dict[str, tf.Tensor]:
    """Some images of the first epoch by feature, uint8 [n, height, width, channels]."""
    count = job.training.tensorboard.images
    if not count or not images(job.features):
        return {}
    training = job.training.model_copy(update={"batch_size": count, "shuffle_buffer": _SHUFFLED * count})
    once = replace(first, first=0, end=1, on_vectors=False)
    for found, *_ in batches(replace(job, training=training), task, transform, job.train, "", once, 0).take(1):
        return {name: side_by_side(found[name]) for name in images(job.features)}
    return {}


def side_by_side(pixels: tf.Tensor) -> tf.Tensor:
    """Images as they are, and the frames of clips, uint8 [n, frames, height, width, channels], beside each other."""
    if pixels.shape.rank == 4:
        return pixels
    _, frames, height, width, channels = pixels.shape
    return tf.reshape(tf.transpose(pixels, [0, 2, 1, 3, 4]), [-1, height, frames * width, channels])
