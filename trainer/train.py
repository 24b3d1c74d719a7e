"""A training run from start to end: read, build, fit, export."""

import tempfile
from collections import defaultdict
from collections.abc import Collection, Sequence

import tensorflow as tf

from hubline.core import storage
from hubline.preprocessing.columns import may_have_several, parsing_spec
from hubline.preprocessing.feature_columns import input_columns, takes_lists
from hubline.trainer import parameters, randomness
from hubline.trainer.caches import Cache
from hubline.trainer.checkpoints import keep
from hubline.trainer.config.hubs import fed_hubs
from hubline.trainer.counts import holding
from hubline.trainer.export import ServingModel
from hubline.trainer.fit import Fit
from hubline.trainer.job import Job, Split
from hubline.trainer.labels.parts import needs_pictures, task_of
from hubline.trainer.meanings import EXPORTED, Meanings
from hubline.trainer.meanings import FILE as MEANINGS
from hubline.trainer.model import Parts, build, feeding, model_inputs
from hubline.trainer.optimizers import check_schedules
from hubline.trainer.phases import Phase, phases, stays_frozen
from hubline.trainer.pretrained import begin_with_modules
from hubline.trainer.tensorboard import check_profile, log_end, log_model
from hubline.trainer.training_notes import Note
from hubline.trainer.variable_names import named_variables
from hubline.trainer.warm_start import warm_start

__all__ = ["Job", "Split", "train"]


def train(job: Job, notes: list[Note] | None = None, caches: list[Cache] | None = None) -> dict[str, list[float]]:
    """Trains a model and exports it.

    Args:
        job: Inputs and outputs of the run.
        notes: Receives notes about the training.
        caches: Receives how the examples of each phase are cached.

    Returns:
        Training curves: one value per epoch for each metric (`loss` and the task's own, and the same with the prefix
        `val_`), including epochs of interrupted runs that this run resumes.

    Raises:
        UserError: if a learning rate schedule, or what to profile, is longer than the training.
        RunError: if the loss is no longer finite.
        DataError: if there are too few classes or no whole batch, the training and validation splits share no class, or
            a number in the data is not finite.
        DamageError: if a split has fewer rows or records than were written.
    """
    notes = [] if notes is None else notes
    pace = job.training.pace(job.train.count)
    check_schedules(job.training, job.model, pace)
    check_profile(job.training, pace)
    randomness.enable_generators()
    tf.keras.backend.reset_uids()  # so that layers without a name of their own are named the same in every run
    tf.keras.utils.set_random_seed(job.training.seed)
    in_pictures = needs_pictures(job.label, job.features)
    task = task_of(job.label, job.transform, job.label_spec)
    if job.training.mixup is not None:
        task = task.mixable()
    parts = build(job.model, job.hubs, job.module_paths, job.features, job.transform, task.outputs, job.backbones)
    own = model_inputs(job.features, job.hubs, job.backbones)
    deep = {name: feature for name, feature in own.items() if name not in job.model.wide}
    begin_with_modules(parts.whole, deep, job.hubs, job.module_paths, job.transform)
    meanings = Meanings.of(own, parts.backbones, deep, task, job.transform)
    planned = phases(job.model, job.training, job.backbones, in_pictures, pace.epochs)
    known = _warm_started(job, parts, meanings, planned, notes)
    transform = job.transform.transform_features_layer()
    curves: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch, holding({"train": job.train, "validation": job.validation}):
        fit = Fit(job, task, parts, transform, pace, scratch, notes, [] if caches is None else caches)
        log_model(job, task, transform, parts.whole, planned[0])
        fit.standardize(planned[0], known)
        folders = [f"{job.checkpoints}/{number}" for number in range(len(planned))]
        for phase, folder in zip(planned, folders, strict=True):
            fit.train(phase, folder)
        fit.finish()
        fit.judge(planned[-1])
        log_end(job)
        for metrics in fit.history:
            for name, value in metrics.items():
                curves[name].append(value)
    taken = own | feeding(job.hubs, job.features, job.backbones)
    spec = parsing_spec(job.schema, input_columns(job.features, taken))
    lists = {name for name in spec if takes_lists(name, job.features) and may_have_several(name, job.schema)}
    serving = ServingModel(parts, transform, spec, lists, taken, task)
    from_vectors = fed_hubs(job.hubs) and stays_frozen(job.model, job.training, job.backbones)
    serving.save(job.export, job.vectors if from_vectors and not in_pictures else None)
    meanings.write(f"{job.export}/{EXPORTED}")
    parameters.write(job.export, _parameters(job, parts))
    if job.training.checkpoints.max_to_keep is not None:
        meanings.write(f"{job.kept_checkpoints}/{MEANINGS}")
        steps = keep(folders, job.training.checkpoints.max_to_keep, job.kept_checkpoints)
        text = f"checkpoints kept in {job.kept_checkpoints}, by step: {', '.join(map(str, steps))}"
        notes.append(Note(kind="checkpoints", text=text))
    storage.remove_tree(job.checkpoints)  # only now: a run that is interrupted during export resumes from here
    return dict(curves)


def _parameters(job: Job, parts: Parts) -> tuple[parameters.ParameterCount, ...]:
    """Numbers of parameters after the last phase."""
    modules = {
        layer.name: f"{'backbones' if name in job.backbones else 'hubs'}.{name}"
        for name, layer in parts.backbones.items()
    }
    return parameters.counted(parts.whole.layers, modules)


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
