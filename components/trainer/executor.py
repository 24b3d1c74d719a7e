"""Trainer's executor."""

from dataclasses import replace
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from hubline.components.training_job import diagnosed, training_job
from hubline.core import json_text, storage
from hubline.trainer import parameters
from hubline.trainer.caches import Cache
from hubline.trainer.config.tuning import with_values
from hubline.trainer.train import Job, train
from hubline.trainer.training_notes import FILE, Note, Notes
from hubline.trainer.tuning.results import read_best


class Executor(base_executor.BaseExecutor):
    """Creates a training job from artifacts and execution properties, and runs it."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `model` with the SavedModel, and `model_run` with TensorBoard logs, learning curves and notes."""
        model_run = artifact_utils.get_single_uri(output_dict["model_run"])
        export = path_utils.serving_model_dir(artifact_utils.get_single_uri(output_dict["model"]))
        job = _tuned(training_job(input_dict, exec_properties, model_run, export), input_dict)
        notes = [Note(kind="data", text=finding.text) for finding in diagnosed(input_dict, job)]
        caches: list[Cache] = []
        curves = train(job, notes, caches)
        storage.write_text(f"{model_run}/curves.json", json_text.dumps(curves))
        recorded = Notes(notes=tuple(notes), caches=tuple(caches), parameters=parameters.read(job.export))
        storage.write_text(f"{model_run}/{FILE}", recorded.model_dump_json(indent=2))


def _tuned(job: Job, input_dict: dict) -> Job:
    """The job with the values of the Tuner's best trial, if there is a Tuner."""
    if not input_dict.get("hyperparameters"):
        return job
    best = read_best(artifact_utils.get_single_uri(input_dict["hyperparameters"]))
    model, training = with_values(job.model, job.training, best)
    return replace(job, model=model, training=training)
