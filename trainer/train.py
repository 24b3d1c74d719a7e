"""The story of a training run: read, build, fit, export."""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from preprocessing.columns import ParsingSpec, input_columns, parsing_spec
from preprocessing.config import Features, Label
from preprocessing.errors import DataError
from preprocessing.transform import class_names
from trainer import inputs
from trainer.callbacks import Checkpoints, Progress
from trainer.config import Hubs, Model, Training
from trainer.export import ServingModel
from trainer.model import Parts, build, optimizer
from trainer.phases import Phase, phases, stays_frozen
from trainer.vectors import Vectors, column

_STEPS_ON_VECTORS = 32
"""Steps to a call of TensorFlow: one step on vectors takes less time than Python takes to call it."""

_MIXED = 16
"""Batches of kept images among which each epoch shuffles anew what was kept in an order shuffled already."""


@dataclass(frozen=True)
class Split:
    """The examples of one split, as records and as rows."""

    records: Sequence[str]
    """TFRecord files of whole records."""
    rows: Sequence[str]
    """TFRecord files of the same records in the same order, less their images, plus the kept vectors."""
    count: int
    """How many rows there are."""
    undecodable: Sequence[int] = ()
    """The records that have no row, by their number over all files, one after the other."""


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
    train: Split
    validation: Split
    vectors: Vectors
    """What the rows hold."""
    views: int
    """How many views of each example the rows of the training split hold."""
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
        DataError: where there is one class only, or no class in common to the training and validation splits.
    """
    tf.keras.utils.set_random_seed(job.training.seed)
    classes = class_names(job.label, job.transform)
    if len(classes) < 2:
        raise DataError(f"the training split has one class only, '{classes[0]}'; there is nothing to tell apart")
    parts = build(job.model, job.hubs, job.module_paths, job.features, len(classes))
    transform = job.transform.transform_features_layer()
    curves: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        for number, phase in enumerate(phases(job.model, job.training)):
            history = _train_phase(job, phase, parts, transform, f"{job.checkpoints}/{number}", scratch)
            for name, values in history.items():
                curves[name] += map(float, values)
    spec = parsing_spec(job.schema, input_columns(job.features))
    serving = ServingModel(parts, transform, spec, job.features, classes)
    serving.save(job.export, job.vectors if stays_frozen(job.model, job.training) else None)
    tf.io.gfile.rmtree(job.checkpoints)  # not before: a run cut short while it exports goes on from here
    return dict(curves)


def _train_phase(
    job: Job, phase: Phase, parts: Parts, transform: Callable, checkpoints: str, scratch: str
) -> Mapping[str, Sequence[float]]:
    """Trains what the phase trains, and gives its curves."""
    model = parts.on_vectors if phase.on_vectors else parts.whole
    for name, backbone in parts.backbones.items():
        backbone.trainable = name in phase.tuned
    if not phase.on_vectors:
        rates = {parts.backbones[name].name: job.model.fine_tune[name].learning_rate for name in phase.tuned}
        parts.whole.tune({name: optimizer(job.training.optimizer, rate) for name, rate in rates.items()})
    read = _vector_examples if phase.on_vectors else _image_examples
    waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    train_data = inputs.batches(
        read(job, transform, job.train, f"{scratch}/{phase.first}-train", phase, shuffle=True),
        job.training.batch_size,
        job.train.count,
    )
    validation_data = inputs.batches(
        read(job, transform, job.validation, f"{scratch}/{phase.first}-validation", phase, shuffle=False),
        job.training.batch_size,
        _count_known(job, transform, job.validation),
    )
    model.compile(
        optimizer=optimizer(job.training.optimizer),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=_STEPS_ON_VECTORS if phase.on_vectors else 1,
    )
    history = model.fit(
        inputs.timed(train_data, waited),
        validation_data=validation_data,
        initial_epoch=phase.first,
        epochs=phase.end,
        verbose=0,
        callbacks=[
            # First, so that a loss that is not a number is never checkpointed.
            Progress(job.train.count, job.training.epochs, job.training.batch_size, waited),
            Checkpoints(checkpoints),
            tf.keras.callbacks.TensorBoard(job.logs, write_graph=False),
        ],
    )
    return history.history


def _vector_examples(
    job: Job, transform: Callable, split: Split, scratch: str, phase: Phase, shuffle: bool
) -> tf.data.Dataset:
    """The examples of a split as kept vectors by hub, and class indices; one by one."""
    views = job.views if split is job.train else 1
    spec = _label_spec(job) | job.vectors.spec(views)
    columns = {column(hub): hub for hub in job.vectors.sizes}
    parse = inputs.parsing(spec, transform, columns=columns)
    examples = inputs.parsed(inputs.read_records(split.rows), parse)
    examples = examples.map(lambda found, label: ({hub: found[name] for name, hub in columns.items()}, label))
    examples = inputs.kept_between_epochs(examples, split.count, scratch)
    if shuffle:
        examples = inputs.shuffled(examples, job.training.shuffle_buffer, job.training.seed)
    return inputs.views_drawn(examples, list(columns.values()), views, job.training.seed)


def _image_examples(
    job: Job, transform: Callable, split: Split, scratch: str, phase: Phase, shuffle: bool
) -> tf.data.Dataset:
    """The examples of a split as pixels by feature, and class indices; one by one."""
    spec = _label_spec(job) | parsing_spec(job.schema, input_columns(job.features))
    parse = inputs.parsing(spec, transform, features=job.features)
    examples = inputs.parsed(inputs.read_decodable(split.records, split.undecodable), parse)
    seed, buffer = job.training.seed, job.training.shuffle_buffer
    if shuffle:
        # While they are encoded: the first batch would else wait until a whole buffer of images has been decoded.
        examples = examples.shuffle(buffer, seed=seed, reshuffle_each_iteration=True)
    examples = inputs.decoded(examples, job.features)
    if phase.end - phase.first > 1:
        examples = inputs.kept_between_epochs(examples, split.count, scratch)
        if shuffle:
            examples = inputs.shuffled(examples, min(buffer, _MIXED * job.training.batch_size), seed)
    return inputs.changed(examples, job.training.augment if split is job.train else (), job.training.seed)


def _count_known(job: Job, transform: Callable, split: Split) -> int:
    """How many examples of a split have a class that the training split has too."""
    if job.label.classes is not None:
        return split.count  # ingestion has held every record to the classes
    labels = inputs.parsed(inputs.read_records(split.rows), inputs.parsing(_label_spec(job), transform))
    count = int(labels.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1))
    if not count:
        raise DataError("no record of the validation split has a class that the training split has")
    return count


def _label_spec(job: Job) -> ParsingSpec:
    return parsing_spec(job.schema, [job.label.column])
