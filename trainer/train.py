"""The story of a training run: read, build, fit, export."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from preprocessing.columns import input_columns, parsing_spec
from preprocessing.config import Features, Label
from preprocessing.errors import DataError, RunError
from preprocessing.progress import report
from preprocessing.transform import class_names
from trainer import inputs
from trainer.config import Hubs, Model, Training
from trainer.export import ServingModel
from trainer.model import build, optimizer


@dataclass(frozen=True)
class Job:
    """All that a training run is made of."""

    features: Features
    label: Label
    hubs: Hubs
    model: Model
    training: Training
    schema: schema_pb2.Schema
    transform: tft.TFTransformOutput
    module_paths: Mapping[str, str]
    """The folder of each hub module, by its name."""
    train_files: Sequence[str]
    validation_files: Sequence[str]
    train_count: int
    """Records in the training split, for the progress shown."""
    checkpoints: str
    """A folder that survives a failed or killed run; the next run with the same job goes on from what it holds."""
    logs: str
    """The folder that TensorBoard reads."""
    export: str
    """The folder that the SavedModel is written to."""


def train(job: Job) -> dict[str, list[float]]:
    """Trains a model and exports it.

    Returns:
        The training curves: by metric (`loss`, `accuracy`, `val_loss`, `val_accuracy`), a value for each epoch of this
        run.

    Raises:
        RunError: where the loss stops being a number.
        DataError: where there is one class only.
    """
    tf.keras.utils.set_random_seed(job.training.seed)
    classes = class_names(job.label, job.transform)
    if len(classes) < 2:
        raise DataError(f"the training split has one class only, '{classes[0]}'; there is nothing to tell apart")
    model = build(job.model, job.hubs, job.module_paths, job.features, len(classes))
    model.compile(
        optimizer=optimizer(job.training.optimizer),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    transform = job.transform.transform_features_layer()
    history = model.fit(
        _dataset(job, transform, job.train_files, shuffle=True),
        validation_data=_dataset(job, transform, job.validation_files, shuffle=False),
        epochs=job.training.epochs,
        verbose=0,
        callbacks=[
            _Progress(job),  # first, so that a loss that is not a number is never checkpointed
            tf.keras.callbacks.BackupAndRestore(job.checkpoints, delete_checkpoint=False),
            tf.keras.callbacks.TensorBoard(job.logs),
        ],
    )
    spec = parsing_spec(job.schema, input_columns(job.features))
    ServingModel(model, transform, spec, job.features, classes).save(job.export)
    tf.io.gfile.rmtree(job.checkpoints)  # not before: a run cut short while it exports goes on from here
    return {name: [float(value) for value in values] for name, values in history.history.items()}


def _dataset(job: Job, transform: tf.keras.layers.Layer, files: Sequence[str], shuffle: bool) -> tf.data.Dataset:
    records = inputs.read_records(files)
    if shuffle:
        records = records.shuffle(job.training.shuffle_buffer, seed=job.training.seed, reshuffle_each_iteration=True)
    spec = parsing_spec(job.schema, [*input_columns(job.features), job.label.column])
    return inputs.batches(records, spec, transform, job.features, job.training.batch_size)


class _Progress(tf.keras.callbacks.Callback):
    """Reports examples trained, of those in all epochs, and stops at a loss that is not a number."""

    _SECONDS = 0.5  # between two reports, so that a log of a long training stays readable

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._reported = 0.0
        self._total = job.train_count * job.training.epochs
        self._per_epoch = job.train_count
        self._batch_size = job.training.batch_size
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        now = time.monotonic()
        if now - self._reported >= self._SECONDS:
            self._reported = now
            self._report(min((batch + 1) * self._batch_size, self._per_epoch), (logs or {})["loss"])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        if not tf.math.is_finite(loss):
            rate = float(self.model.optimizer.learning_rate)
            raise RunError(f"the loss became {loss} in epoch {epoch + 1}; try a learning rate below {rate:g}")
        self._report(self._per_epoch, loss)

    def _report(self, done_of_epoch: int, loss: float) -> None:
        report(self._epoch * self._per_epoch + done_of_epoch, self._total, "examples", epoch=self._epoch + 1, loss=loss)
