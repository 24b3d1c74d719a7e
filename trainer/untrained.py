"""What a training starts from: its phases, its task and the untrained model."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

import tensorflow as tf

from hubline.trainer import devices, randomness
from hubline.trainer.config.hubs import fed_hubs
from hubline.trainer.config.length import Pace
from hubline.trainer.config.losses import CustomLoss
from hubline.trainer.custom_loss import check_loss
from hubline.trainer.embeddings import column
from hubline.trainer.hub_layer import HubLayer
from hubline.trainer.job import Job
from hubline.trainer.labels.parts import needs_pictures, task_of
from hubline.trainer.meanings import Meanings
from hubline.trainer.model import Parts, TunedModel, build, head_of, keras_inputs, model_inputs
from hubline.trainer.optimizers import check_schedules
from hubline.trainer.phases import Phase, phases
from hubline.trainer.precision import policy
from hubline.trainer.pretrained import begin_with_modules
from hubline.trainer.saved_model_loader import open_module, read_saved_model
from hubline.trainer.task import Task
from hubline.trainer.team import Team
from hubline.trainer.training_notes import Note
from hubline.trainer.variable_names import named_variables
from hubline.trainer.warm_start import warm_start
from hubline.trainer.workers import worker_of


@dataclass(frozen=True)
class Untrained:
    """The start of a training."""

    pace: Pace
    phases: list[Phase]
    task: Task
    parts: Parts
    transform: Callable
    """The transform graph."""
    meanings: Meanings
    """What the dimensions of the variables stand for."""
    known: Collection[str]
    """Names of the variables with values from a warm start."""
    team: Team
    """The workers."""


def untrained(job: Job, notes: list[Note], is_exported: bool = True) -> Untrained:
    """Seeds all random draws, and builds the model.

    Args:
        job: The training run.
        notes: Receives notes about the devices and about a warm start.
        is_exported: Whether the model will be exported. Otherwise, hub modules whose cached vectors suffice for
            training are not part of it. The initial weights are the same.

    Raises:
        UserError: if a learning rate schedule is longer than the training.
        RunError: if a GPU that was asked for isn't there.
        DataError: if there are too few classes.
    """
    pace = job.training.pace(job.train.count)
    check_schedules(job.training, job.model, pace)
    in_pictures = needs_pictures(job.label, job.features)
    planned = phases(job.model, job.training, job.backbones, in_pictures, pace.epochs)
    is_whole = is_exported or job.training.warm_start or not all(phase.on_vectors for phase in planned)
    worker = worker_of(job.training.workers)
    strategy = devices.prepared_strategy(job.training.devices, notes, worker.count, partial(_can_split, job))
    randomness.enable_generators()
    tf.keras.utils.set_random_seed(job.training.seed)
    task = task_of(job.label, job.transform, job.label_spec)
    if job.training.mixup is not None:
        task = task.mixable()
    with strategy.scope(), policy(job.training.devices.precision):
        parts = _whole(job, task) if is_whole else _on_vectors(job, task)
    own = model_inputs(job.features, job.hubs, job.backbones)
    deep = {name: feature for name, feature in own.items() if name not in job.model.wide}
    if isinstance(job.training.loss, CustomLoss):
        check_loss(job.training.loss, task, tf.TensorShape(parts.whole.output_shape))
    begin_with_modules(parts.whole, deep, job.hubs, job.module_paths, job.transform)
    meanings = Meanings.of(own, parts.backbones, deep, task, job.transform)
    known = _warm_started(job, parts, meanings, planned, notes)
    transform = job.memo.once("transform", job.transform.transform_features_layer)
    return Untrained(pace, planned, task, parts, transform, meanings, known, Team(worker, strategy))


def _can_split(job: Job) -> bool:
    """Whether the batches of a training can be split among several devices."""
    modules = [job.module_paths[name] for name in job.model.fine_tune if name in job.hubs]
    return not job.training.devices.jit_compile and all(read_saved_model(each).format != "TF1" for each in modules)


def _whole(job: Job, task: Task) -> Parts:
    tf.keras.backend.reset_uids()  # so that layers without a name of their own are named the same in every run
    return build(job.model, job.hubs, job.module_paths, job.features, job.transform, task.outputs, job.backbones)


def to_export(job: Job, start: Untrained) -> Parts:
    """The trained model on one device and in float32."""
    parts = start.parts
    is_plain = parts.whole.distribute_strategy is tf.distribute.get_strategy()
    if is_plain and parts.whole.dtype_policy.name == "float32":
        return parts
    plain = _whole(job, start.task)
    for name, backbone in parts.backbones.items():
        plain.backbones[name].trainable = backbone.trainable
    variables = named_variables(plain.whole)
    for name, variable in named_variables(parts.whole).items():
        variables[name].assign(variable.numpy())
    return plain


def _on_vectors(job: Job, task: Task) -> Parts:
    """The model on vectors alone, as both models of the parts."""
    tf.keras.backend.reset_uids()
    layers = {name: job.memo.once(("module", name), partial(_layer, job, name)) for name in fed_hubs(job.hubs)}
    own = keras_inputs(model_inputs(job.features, job.hubs))
    vectors = {column(name): tf.keras.Input([job.vectors.sizes[name]], name=column(name)) for name in layers}
    raw, standardized = head_of(job.model, job.hubs, layers, own, job.features, job.transform, task.outputs)
    head = TunedModel(own | vectors, raw(vectors), name="hubline_head")
    return Parts(backbones=layers, whole=head, on_vectors=head, standardized=standardized)


def _layer(job: Job, name: str) -> HubLayer:
    """The layer of a frozen hub module, which tells how its vectors are standardized and combined."""
    return HubLayer(job.hubs[name], open_module(job.module_paths[name]), job.features, name)


def _warm_started(
    job: Job, parts: Parts, meanings: Meanings, planned: Sequence[Phase], notes: list[Note]
) -> Collection[str]:
    """Takes initial values from a checkpoint if `training.warm_start` says so; returns the variables' names."""
    config = job.training.warm_start
    if config is None:
        return ()
    if job.warm_start is None:
        text = "no version serves yet, so training began without a warm start"
        notes.append(Note(kind="warm_start", text=text))
        return ()
    variables = named_variables(parts.whole)
    on_vectors = any(phase.on_vectors for phase in planned)
    modules = tuple(f"{layer.name}/" for layer in parts.backbones.values()) if on_vectors else ()
    in_vectors = [name for name in variables if name.startswith(modules)]
    known = warm_start(config, job.warm_start, variables, meanings, in_vectors)
    text = f"{len(known)} of {len(variables)} variables began with the values in {job.warm_start}"
    notes.append(Note(kind="warm_start", text=text))
    return known
