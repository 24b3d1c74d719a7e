"""Tuner's executor."""

from dataclasses import replace
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from hubline.components.training_job import diagnosed, training_job
from hubline.core import storage
from hubline.core.errors import RunError
from hubline.trainer import devices
from hubline.trainer.config.length import Pace
from hubline.trainer.config.training import Training
from hubline.trainer.config.tuning import Tune, with_values
from hubline.trainer.job import Job
from hubline.trainer.memo import Memo
from hubline.trainer.optimizers import check_schedules
from hubline.trainer.tuning.results import TRIALS, Trials, write_best
from hubline.trainer.tuning.runner import running
from hubline.trainer.tuning.search import search


class Executor(base_executor.BaseExecutor):
    """Runs the trials of the section `tune`."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `best_hyperparameters` with the values of the best trial, and `tuner_results` with all trials.

        Raises:
            RunError: if no trial was trained to its end.
        """
        tune = Tune.model_validate_json(exec_properties["tune"])
        if tune.parallel > 1:
            devices.prepare(devices.sharing(Training.model_validate_json(exec_properties["training"]).devices))
        job = replace(training_job(input_dict, exec_properties), memo=Memo())
        diagnosed(input_dict, job)
        _check_schedules(job, tune)
        with running(job, tune) as run:
            trials = search(tune, _pace(job).epochs, job.checkpoints, run)
        storage.write_text(
            f"{artifact_utils.get_single_uri(output_dict['tuner_results'])}/{TRIALS}", trials.model_dump_json(indent=2)
        )
        if trials.best is None:
            raise RunError(_why_none(trials))
        write_best(artifact_utils.get_single_uri(output_dict["best_hyperparameters"]), trials, trials.best)
        storage.remove_tree(job.checkpoints)


def _pace(job: Job) -> Pace:
    return job.training.pace(job.train.count)


def _check_schedules(job: Job, tune: Tune) -> None:
    """Checks the learning rate schedules with each value before the first trial.

    Raises:
        UserError: if part of a schedule would never happen.
    """
    for key, values in tune.ranges.items():
        for _, value in values.points():
            model, training = with_values(job.model, job.training, {key: value})
            check_schedules(training, model, _pace(replace(job, training=training)))


def _why_none(trials: Trials) -> str:
    errors = [trial.error for trial in trials.trials if trial.error]
    if errors:
        return f"none of {len(trials.trials)} trials could be trained to its end; the last error: {errors[-1]}"
    return f"none of {len(trials.trials)} trials was trained to its end; raise tune.trials, or set prune: false"
