"""A training run from start to end: read, build, fit, export."""

import logging
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import tensorflow as tf

from hubline.core import json_text, storage
from hubline.core.shard_dataset import read_decodable
from hubline.preprocessing.columns import ParsingSpec, may_have_several, parsing_spec
from hubline.preprocessing.config import Features
from hubline.preprocessing.feature_columns import input_columns, takes_lists
from hubline.trainer import parameters
from hubline.trainer.ask_trained import reference_of
from hubline.trainer.caches import Cache
from hubline.trainer.checkpoints import keep
from hubline.trainer.config.hubs import fed_hubs
from hubline.trainer.counts import holding
from hubline.trainer.datasets import records_in_order
from hubline.trainer.export import ServingModel
from hubline.trainer.fit import Fit, model_of
from hubline.trainer.job import Job, Split
from hubline.trainer.labels.parts import needs_pictures
from hubline.trainer.meanings import EXPORTED
from hubline.trainer.meanings import FILE as MEANINGS
from hubline.trainer.model import Parts, TunedModel, feeding, model_inputs
from hubline.trainer.phases import stays_frozen
from hubline.trainer.reference import Reference
from hubline.trainer.serving_guide.example import CONSIDERED, write_guide
from hubline.trainer.tensorboard import check_profile, log_end, log_model
from hubline.trainer.training_notes import Note
from hubline.trainer.untrained import Untrained, to_export, untrained

__all__ = ["Job", "Split", "train"]

_LOGGER = logging.getLogger(__name__)

CURVES = "curves.json"
"""File with the curves of a training, and in the folder of checkpoints, of one that was cut short."""


def train(job: Job, notes: list[Note] | None = None, caches: list[Cache] | None = None) -> dict[str, list[float]]:
    """Trains a model and exports it. Of several workers, each calls this, and the chief writes the outputs.

    Args:
        job: Inputs and outputs of the run.
        notes: Receives notes about the training.
        caches: Receives how the examples of each phase are cached.

    Returns:
        Training curves: one value per epoch for each metric (`loss` and the task's own, and the same with the prefix
        `val_`), including epochs of interrupted runs that this run resumes.

    Raises:
        UserError: if a learning rate schedule, or what to profile, is longer than the training.
        RunError: if a GPU that was asked for isn't there, or the loss is no longer finite.
        DataError: if there are too few classes or no whole batch, the training and validation splits share no class, or
            a number in the data is not finite.
        DamageError: if a split has fewer rows or records than were written.
    """
    notes = [] if notes is None else notes
    start = untrained(job, notes)
    check_profile(job.training, start.pace)
    is_chief = start.team.me.is_chief
    with tempfile.TemporaryDirectory() as scratch, holding({"train": job.train, "validation": job.validation}):
        if not is_chief:  # all workers read the variables that TensorBoard shows
            job = replace(job, logs=f"{scratch}/logs")
        fit = Fit(job, start, scratch, notes, [] if caches is None else caches)
        log_model(job, start.task, start.transform, start.parts.whole, start.phases[0])
        try:
            folders = fit.train_all(job.checkpoints)
        except BaseException:
            if is_chief and fit.history:
                _keep_curves(job, fit.history)
            raise
        fit.finish()
        trained = to_export(job, start)
        if is_chief:
            last = start.phases[-1]
            validation = fit.validation(last)
            fit.judge(trained, last, validation)
            start = replace(start, task=fit.decided(trained, last, validation))
            answered = _reference(job, start, model_of(last, trained), validation)
            log_end(job)
    if is_chief:
        _export(job, start, trained)
        if job.reference:
            answered.write(job.reference)
        _keep_checkpoints(job, start, folders, notes)
    start.team.meet()
    if start.team.me.count == 1:  # only now: a run that is interrupted during export resumes from here
        storage.remove_tree(job.checkpoints)
    return _curves(fit.history)


def _keep_curves(job: Job, history: Sequence[Mapping[str, float]]) -> None:
    """Writes the curves of a training that was cut short. Where that fails, the reason of the end matters more."""
    try:
        storage.write_text(f"{job.checkpoints}/{CURVES}", json_text.dumps(_curves(history)))
    except Exception:
        _LOGGER.exception("the learning curves can't be written")


def _curves(history: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    curves: dict[str, list[float]] = defaultdict(list)
    for metrics in history:
        for name, value in metrics.items():
            curves[name].append(value)
    return dict(curves)


def _reference(job: Job, start: Untrained, model: TunedModel, validation: tf.data.Dataset) -> Reference:
    taken, spec = _served(job)
    records = records_in_order(job, start.transform, job.validation)
    return reference_of(model, start.task, taken, spec, validation, records)


def _export(job: Job, start: Untrained, trained: Parts) -> None:
    taken, spec = _served(job)
    lists = {name for name in spec if takes_lists(name, job.features) and may_have_several(name, job.schema)}
    serving = ServingModel(trained, start.transform, spec, lists, taken, start.task)
    in_pictures = needs_pictures(job.label, job.features)
    from_vectors = fed_hubs(job.hubs) and stays_frozen(job.model, job.training, job.backbones)
    signatures = serving.save(job.export, job.vectors if from_vectors and not in_pictures else None)
    write_guide(job.export, spec, lists, signatures, _candidates(job))
    start.meanings.write(f"{job.export}/{EXPORTED}")
    parameters.write(job.export, _parameters(job, trained))


def _served(job: Job) -> tuple[Features, ParsingSpec]:
    """The features that the exported model takes, and the parsing spec of the columns that these read."""
    own = model_inputs(job.features, job.hubs, job.backbones)
    taken = own | feeding(job.hubs, job.features, job.backbones)
    return taken, parsing_spec(job.schema, input_columns(job.features, taken))


def _candidates(job: Job) -> list[bytes]:
    """Records of which one becomes the example in the guide of the exported model."""
    split = job.validation if job.validation.count else job.train
    records = read_decodable(split.records, split.undecodable, in_order=True)
    return list(records.take(CONSIDERED).as_numpy_iterator())


def _keep_checkpoints(job: Job, start: Untrained, folders: Sequence[str], notes: list[Note]) -> None:
    if job.training.checkpoints.max_to_keep is not None:
        start.meanings.write(f"{job.kept_checkpoints}/{MEANINGS}")
        steps = keep(folders, job.training.checkpoints.max_to_keep, job.kept_checkpoints)
        text = f"checkpoints kept in {job.kept_checkpoints}, by step: {', '.join(map(str, steps))}"
        notes.append(Note(kind="checkpoints", text=text))


def _parameters(job: Job, parts: Parts) -> tuple[parameters.ParameterCount, ...]:
    """Numbers of parameters after the last phase."""
    modules = {
        layer.name: f"{'backbones' if name in job.backbones else 'hubs'}.{name}"
        for name, layer in parts.backbones.items()
    }
    return parameters.counted(parts.whole.layers, modules)
