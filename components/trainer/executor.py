"""Trainer's executor."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from hubline.components.trainer import job_file, local_workers, worker_errors
from hubline.components.trainer.job_file import JobFile
from hubline.components.training_job import diagnosed, training_job
from hubline.core import json_text, storage
from hubline.trainer import parameters
from hubline.trainer.caches import Cache
from hubline.trainer.config.training import Training
from hubline.trainer.config.tuning import with_values
from hubline.trainer.train import CURVES, Job, train
from hubline.trainer.training_notes import FILE, Note, Notes
from hubline.trainer.tuning.results import read_best
from hubline.trainer.workers import check_records, worker_of


class Executor(base_executor.BaseExecutor):
    """Creates a training job from artifacts and execution properties, and runs it."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `model` with the SavedModel, and `model_run` with TensorBoard logs, learning curves and notes."""
        given = JobFile(input_dict, output_dict, exec_properties)
        is_one = Training.model_validate_json(exec_properties["training"]).workers == 1
        job = _job(given, trains=is_one)
        notes = [Note(kind="data", text=finding.text) for finding in diagnosed(input_dict, job)]
        if is_one:
            train_job(given, notes)
            return
        check_records(job.training.workers, job.train.count)
        path = f"{job.checkpoints}/workers/job.json"
        worker_errors.remove(path)
        job_file.write(path, given)
        restarts = self._launch(path, job.training.workers)
        text = "{}; all workers were restarted from the last checkpoint"
        notes += [Note(kind="restarted", text=text.format(why)) for why in restarts]
        _prepend_notes(given, notes)
        storage.remove_tree(job.checkpoints)

    def _launch(self, job_path: str, workers: int) -> list[str]:
        """Starts workers and waits for them; returns why they were restarted, once for each time."""
        return local_workers.run(job_path, workers)


def train_job(given: JobFile, notes: Sequence[Note] = ()) -> None:
    """Trains, in a step's process or in a worker's, of which the first one writes the results.

    Args:
        given: Artifacts and execution properties.
        notes: Notes to record before those of the training.
    """
    job, found, caches = _job(given), list(notes), list[Cache]()
    curves = train(job, found, caches)
    if worker_of(job.training.workers).is_chief:
        model_run = artifact_utils.get_single_uri(given.outputs["model_run"])
        storage.write_text(f"{model_run}/{CURVES}", json_text.dumps(curves))
        recorded = Notes(notes=tuple(found), caches=tuple(caches), parameters=parameters.read(job.export))
        storage.write_text(f"{model_run}/{FILE}", recorded.model_dump_json(indent=2))


def _job(given: JobFile, trains: bool = True) -> Job:
    """The job, with the values of the Tuner's best trial if there is a Tuner."""
    model_run = artifact_utils.get_single_uri(given.outputs["model_run"])
    export = path_utils.serving_model_dir(artifact_utils.get_single_uri(given.outputs["model"]))
    job = training_job(given.inputs, given.properties, model_run, export, trains)
    if not given.inputs.get("hyperparameters"):
        return job
    best = read_best(artifact_utils.get_single_uri(given.inputs["hyperparameters"]))
    model, training = with_values(job.model, job.training, best)
    return replace(job, model=model, training=training)


def _prepend_notes(given: JobFile, notes: list[Note]) -> None:
    """Adds notes to those that the first worker has recorded."""
    path = f"{artifact_utils.get_single_uri(given.outputs['model_run'])}/{FILE}"
    with storage.open_binary(path) as file:
        recorded = Notes.model_validate_json(file.read())
    together = recorded.model_copy(update={"notes": (*notes, *recorded.notes)})
    storage.write_text(path, together.model_dump_json(indent=2))
