"""The story of a training run: read, build, fit, export."""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from preprocessing.columns import ParsingSpec, may_have_several, parsing_spec, present
from preprocessing.config import Features, Label, image_columns, images, input_columns, takes_lists
from preprocessing.errors import DataError
from preprocessing.labels.class_and_box import ClassAndBoxLabel
from preprocessing.labels.pixels import PixelsLabel
from trainer import inputs
from trainer.backbones.config import Backbones
from trainer.callbacks import Checkpoints, Progress
from trainer.changing import modules_by_feature
from trainer.config import Hubs, Model, Training, fed_hubs
from trainer.export import ServingModel
from trainer.interrupt import StopWhenInterrupted
from trainer.materialized import Materialized
from trainer.model import Parts, build, feeding, optimizer, taken_in
from trainer.phases import Phase, needs_pictures, phases, stays_frozen
from trainer.pretrained import begin_with_modules
from trainer.task import Task, task_of
from trainer.vectors import Vectors, column

_STEPS_ON_VECTORS = 32
"""Steps to a call of TensorFlow: one step on vectors takes less time than Python takes to call it."""

_UNPACKED, _ROW_BYTES = (2, 10), 1024
"""Guesses at memory: the bytes of a row for one in a file, plain or GZIP, and its bytes beside pixels."""

_ROWS_AT_ONCE = 1024
"""Rows without images that are parsed and transformed together."""

_WORTH_A_TRIAL = 100_000
"""Rows that are read in all epochs together, from which on it pays to try out how they are read faster."""

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
    """The folder of each hub module, by its name, and of each backbone that has files."""
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
    backbones: Backbones = field(default_factory=dict)
    """Those that are no hub modules."""


def train(job: Job) -> dict[str, list[float]]:
    """Trains a model and exports it.

    Returns:
        The training curves: by metric (`loss` and the task's own, and each with `val_` before it), a value for each
        epoch of this run.

    Raises:
        RunError: where the loss stops being a number.
        DataError: where there are too few classes, or no class in common to the training and validation splits.
    """
    tf.keras.utils.set_random_seed(job.training.seed)
    in_pictures = needs_pictures(job.label, job.features)
    task = task_of(job.label, job.transform, _label_spec(job))
    if job.training.mixup is not None:
        task = task.mixable()
    parts = build(job.model, job.hubs, job.module_paths, job.features, job.transform, task.outputs, job.backbones)
    deep = {name: feature for name, feature in taken_in(job.features).items() if name not in job.model.wide}
    begin_with_modules(parts.whole, deep, job.hubs, job.module_paths, job.transform)
    transform = job.transform.transform_features_layer()
    curves: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        for number, phase in enumerate(phases(job.model, job.training, job.backbones, in_pictures)):
            history = _train_phase(job, phase, task, parts, transform, f"{job.checkpoints}/{number}", scratch)
            for name, values in history.items():
                curves[name] += map(float, values)
    taken = taken_in(job.features) | feeding(job.hubs, job.features, job.backbones)
    spec = parsing_spec(job.schema, input_columns(job.features, taken))
    lists = {name for name in spec if takes_lists(name, job.features) and may_have_several(name, job.schema)}
    serving = ServingModel(parts, transform, spec, lists, taken, task)
    from_vectors = fed_hubs(job.hubs) and stays_frozen(job.model, job.training, job.backbones)
    serving.save(job.export, job.vectors if from_vectors and not in_pictures else None)
    tf.io.gfile.rmtree(job.checkpoints)  # not before: a run cut short while it exports goes on from here
    return dict(curves)


def _train_phase(
    job: Job, phase: Phase, task: Task, parts: Parts, transform: Callable, checkpoints: str, scratch: str
) -> Mapping[str, Sequence[float]]:
    """Trains what the phase trains, and gives its curves."""
    model = parts.on_vectors if phase.on_vectors else parts.whole
    assert model is not None  # a label that needs pictures has no phase on vectors
    for name, backbone in parts.backbones.items():
        backbone.trainable = name in phase.tuned
    if not phase.on_vectors:
        tunes = {name: tune for name, tune in job.model.fine_tune.items() if name in phase.tuned}
        rates = {parts.backbones[name].name: tune.learning_rate for name, tune in tunes.items()}
        parts.whole.tune({name: optimizer(job.training.optimizer, rate) for name, rate in rates.items()})
    waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    train_data = _batches(job, task, transform, job.train, f"{scratch}/{phase.first}-train", phase)
    validation_data = _batches(job, task, transform, job.validation, f"{scratch}/{phase.first}-validation", phase)
    model.compile(
        optimizer=optimizer(job.training.optimizer),
        loss=task.loss(),
        metrics=task.metrics(),
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
            StopWhenInterrupted(),
            tf.keras.callbacks.TensorBoard(job.logs, write_graph=False),
        ],
    )
    return history.history


def _batches(job: Job, task: Task, transform: Callable, split: Split, scratch: str, phase: Phase) -> tf.data.Dataset:
    """What the model takes of a split, in batches, and what it is to learn."""
    taken = taken_in(job.features) | ({} if phase.on_vectors else feeding(job.hubs, job.features, job.backbones))
    tabular = {name: feature for name, feature in taken.items() if name not in images(job.features)}
    features = [given for name, feature in tabular.items() for given in feature.inputs(name)]
    spec = _label_spec(job) | parsing_spec(job.schema, input_columns(job.features, tabular))
    columns = [column(hub) for hub in fed_hubs(job.hubs)] if phase.on_vectors else []
    views = job.views if split is job.train else 1
    if columns:
        spec |= job.vectors.spec(views)
    parse = inputs.parsing(spec, transform, features, columns, task.target)
    if phase.on_vectors:
        examples, parse = _rows(job, transform, split, scratch, phase, parse)
    else:
        examples = _pictures(job, transform, split, scratch, phase)
    count = _count_known(job, transform, split)
    data = inputs.batches(examples, job.training.batch_size, parse, count, _ROWS_AT_ONCE if phase.on_vectors else 1)
    if split is job.train and job.training.mixup is not None:
        data = inputs.mixed(data, job.training.mixup, job.training.seed)
    return inputs.views_drawn(data, columns, views, job.training.seed) if columns else data


def _rows(
    job: Job, transform: Callable, split: Split, scratch: str, phase: Phase, parse: inputs.Parse
) -> tuple[tf.data.Dataset, inputs.Parse]:
    """The rows of a split, one by one, as they are or as `parse` makes them, and what parses them then."""
    rows = _known(job, transform, split, inputs.read_records(split.rows))
    size = sum(tf.io.gfile.stat(file).length * _UNPACKED[file.endswith(".gz")] for file in split.rows)
    together = rows.batch(_ROWS_AT_ONCE)
    kept = _materialized(job.training, split.count * (phase.end - phase.first), together, parse)
    if kept is not None:
        rows, parse = together.map(kept.encode, num_parallel_calls=tf.data.AUTOTUNE).unbatch(), kept.parse
        size = split.count * kept.bytes_of_row(next(iter(together)))
    rows = inputs.kept_between_epochs(rows, size, scratch)
    if split is job.train:
        each = size // max(split.count, 1)
        rows = inputs.shuffled(rows, job.training.shuffle_buffer, each, job.training.seed)
    return rows.map(lambda row: {inputs.ROW: row}), parse


def _materialized(
    training: Training, reads: int, together: tf.data.Dataset, parse: inputs.Parse
) -> Materialized | None:
    """What keeps rows as `parse` makes them, where the pipeline file or a trial says so."""
    if not training.materialize or (training.materialize == "auto" and reads < _WORTH_A_TRIAL):
        return None
    kept = Materialized(parse)
    return kept if training.materialize is True or kept.is_faster(next(iter(together))) else None


def _pictures(job: Job, transform: Callable, split: Split, scratch: str, phase: Phase) -> tf.data.Dataset:
    """The examples of a split as their rows and the pixels of their images, one by one."""
    records = _known(job, transform, split, inputs.read_decodable(split.records, split.undecodable))
    boxes, mask = _boxes(job), job.label if isinstance(job.label, PixelsLabel) else None
    spec = parsing_spec(job.schema, [*image_columns(job.features), *job.label.masks])
    examples = inputs.pictures(records, job.features, spec, boxes, mask)
    seed, buffer, shuffle = job.training.seed, job.training.shuffle_buffer, split is job.train
    if shuffle:
        # While they are encoded: the first batch would else wait until a whole buffer of images has been decoded.
        size = sum(tf.io.gfile.stat(file).length for file in split.records)
        examples = inputs.shuffled(examples, buffer, size // max(split.count, 1), seed)
    examples = inputs.decoded(examples, job.features, boxes, mask)
    each = inputs.bytes_of_pixels(job.features, mask) + _ROW_BYTES
    if phase.end - phase.first > 1:
        examples = inputs.kept_between_epochs(examples, split.count * each, scratch)
        if shuffle:
            examples = inputs.shuffled(examples, min(buffer, _MIXED * job.training.batch_size), each, seed)
    if split is not job.train:
        return examples
    modules = modules_by_feature(job.hubs, job.module_paths, job.features)
    return inputs.changed(examples, job.training.changes, seed, modules, boxes, mask)


def _boxes(job: Job) -> inputs.Boxes | None:
    """The boxes of a label that has any."""
    label, spec = job.label, _label_spec(job)
    if not isinstance(label, ClassAndBoxLabel):
        return None

    def of(serialized: tf.Tensor) -> tf.Tensor:
        parsed = tf.io.parse_example(serialized, spec)
        return label.boxes(lambda column: present(parsed[column]))

    return inputs.Boxes(label.image, of)


def _known(job: Job, transform: Callable, split: Split, records: tf.data.Dataset) -> tf.data.Dataset:
    """The records with a class that the training split has too."""
    if split is job.train or job.label.are_known:
        return records
    return inputs.with_known_class(records, inputs.parsing(_label_spec(job), transform))


def _count_known(job: Job, transform: Callable, split: Split) -> int:
    """How many there are of those."""
    if split is job.train or job.label.are_known:
        return split.count
    rows = _known(job, transform, split, inputs.read_records(split.rows))
    count = int(rows.reduce(tf.constant(0, tf.int64), lambda count, _: count + 1))
    if not count:
        raise DataError("no record of the validation split has a class that the training split has")
    return count


def _label_spec(job: Job) -> ParsingSpec:
    return parsing_spec(job.schema, job.label.columns)
