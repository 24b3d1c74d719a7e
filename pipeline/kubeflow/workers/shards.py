"""Has several pods do the shards of a step, each a part of them.

The step's own pod builds the step's stage, creates an indexed Job for the shards whose result is not cached, and waits.
The pods leave the results in the shard cache, from which the step then assembles its outputs. A pod that is lost is
replaced, and its replacement skips what it has done.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

from tfx.types import artifact_utils

from hubline.components.engine import shards_there, taking_part
from hubline.components.spread.executor import StageExecutor
from hubline.components.spread.stage import Stage
from hubline.components.trainer import job_file, worker_errors, worker_log
from hubline.components.trainer.job_file import Artifacts, JobFile
from hubline.core import progress, storage
from hubline.core.config_base import Section
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers import settings
from hubline.pipeline.kubeflow.workers.exchange import Exchange, files_of, scratch_folders
from hubline.pipeline.kubeflow.workers.job_run import JobRunner
from hubline.pipeline.kubeflow.workers.jobs import connect
from hubline.pipeline.kubeflow.workers.settings import WorkerPods
from hubline.pipeline.kubeflow.workers.shard_watch import ShardWatch

WORKER = "hubline.pipeline.kubeflow.workers.shard_worker"

_LOGGER = logging.getLogger(__name__)


class Shares(Section):
    """What the pods share."""

    executor: str
    """Import path of the step's executor class."""
    tasks: tuple[int, ...]
    """Numbers of the tasks to do, among the distinct tasks of the stage: others are cached. Pods start at different
    times, and would not agree on what is left."""
    count: int
    """Number of pods."""

    def of(self, index: int, stage: Stage[Any]) -> list[Any]:
        """The tasks of one pod."""
        distinct = stage.distinct
        return [distinct[number] for number in self.tasks[index :: self.count]]


def run(executor_path: str, executor: StageExecutor, inputs: Artifacts, properties: dict[str, Any]) -> None:
    """Does the tasks of a step whose result is not cached; creates no job if there are none.

    Args:
        executor_path: Import path of the executor class.
        executor: The executor.
        inputs: Input artifacts of the step.
        properties: Execution properties of the step.

    Raises:
        UserError: the error of a worker.
        RunError: if workers do not start in time, or are killed too often.
    """
    pods, stage = settings.given(), executor.stage(inputs, properties)
    missing = stage.missing()
    if not missing:
        return
    keys = {task.key for task in missing}
    tasks = [number for number, task in enumerate(stage.distinct) if task.key in keys]
    shares = Shares(executor=executor_path, tasks=tuple(tasks), count=min(pods.placement.workers, len(tasks)))
    if shares.count < pods.placement.workers:
        why = f"{shards_there(len(tasks))} to do ({stage.name})"
        progress.note(taking_part(shares.count, pods.placement.workers, why))
    paths = {key: [artifact_utils.get_single_uri(found)] for key, found in inputs.items()}
    files = files_of(paths, {}, pods)
    with connect(pods.kind, pods.workers_key) as jobs:
        runner = JobRunner(jobs, pods, _work(executor_path, paths, properties), scratch_folders(files))
        _remove_orphans(runner, pods)
        workers = runner.workers(shares.count)
        job_path = f"{_folder(pods, workers.name)}/job.json"
        try:
            job_file.write(job_path, JobFile(inputs, {}, properties))
            Exchange(job_path).write(files)
            storage.write_text(shares_path(job_path), shares.model_dump_json())
            runner.run(workers, [WORKER, job_path], ShardWatch(pods, shares.count), _Log(stage, missing))
        except RunError:
            worker_errors.raise_first(job_path)  # the worker's own error, if it left one
            raise
        finally:
            storage.remove_tree(_folder(pods, workers.name))


def shares_path(job_path: str) -> str:
    """Path of the file with the `Shares`, next to the job's."""
    return f"{job_path.rpartition('/')[0]}/shares.json"


def _folder(pods: WorkerPods, name: str) -> str:
    return f"{pods.state}/workers/{name}"


def _work(executor_path: str, inputs: dict[str, list[str]], properties: dict[str, Any]) -> str:
    """Key of the work: a retry of the step has the same, and finds the job that a killed step left."""
    text = json.dumps([executor_path, inputs, properties], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _remove_orphans(runner: JobRunner, pods: WorkerPods) -> None:
    """Deletes what steps left that were killed. Another run that does the same shards may go on: its results are the
    same, and each run skips what the other has done."""
    for name, owner in runner.orphans():
        if owner is None:
            runner.remove_orphan(name)
            storage.remove_tree(_folder(pods, name))


class _Log:
    """Passes on what workers log, and adds up their progress."""

    def __init__(self, stage: Stage[Any], missing: Sequence[Any]) -> None:
        self._unit = stage.unit
        self._total = sum(task.count for task in stage.tasks)
        self._cached = self._total - sum(task.count for task in missing)
        self._done: dict[str, float] = {}

    def __call__(self, line: str, worker: str) -> None:
        done = worker_log.done(line)
        if done is None:
            worker_log.pass_on(line, worker)
            return
        self._done[worker] = done
        progress.show(min(self._cached + sum(self._done.values()), self._total), self._total, self._unit)
