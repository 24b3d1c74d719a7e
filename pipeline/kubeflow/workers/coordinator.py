"""Runs the job of a training, and replaces it.

A training strategy can't take back one worker of several. So if a worker is killed, evicted or preempted, all are
replaced, by a new job, and resume from the last checkpoint.
"""

import logging
from collections.abc import Callable

from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers.job_run import JobRunner, Write
from hubline.pipeline.kubeflow.workers.jobs import Jobs
from hubline.pipeline.kubeflow.workers.settings import WorkerPods
from hubline.pipeline.kubeflow.workers.training_watch import Restartable, TrainingWatch

_LOGGER = logging.getLogger(__name__)

WORKER = "hubline.pipeline.kubeflow.workers.worker"


class Coordinator:
    """The training of one model by the workers of a job."""

    def __init__(self, jobs: Jobs, settings: WorkerPods, training: str, count: int, scratch: list[str]) -> None:
        """Prepares the training.

        Args:
            jobs: Client.
            settings: The job and its pods.
            training: Key of the checkpoints.
            count: Number of workers.
            scratch: Folders of artifacts in the workers' pods.
        """
        self._runner = JobRunner(jobs, settings, training, scratch)
        self._kind, self._job, self._count = jobs.kind.name, settings.job, count

    def run(self, arguments: Callable[[list[str]], list[str]], write: Write) -> list[str]:
        """Trains.

        Args:
            arguments: Arguments of a worker's pod, given the addresses of the workers of an indexed Job.
            write: Called with the lines of the workers' logs.

        Returns:
            Why the workers were restarted, once for each time.

        Raises:
            RunError: if a worker fails, if workers do not start in time, or after too many restarts.
        """
        self._remove_orphans()
        restarts: list[str] = []
        while True:
            workers = self._runner.workers(self._count, attempt=len(restarts))
            watch = TrainingWatch(self._job.pending_seconds, self._count)
            try:
                self._runner.run(workers, [WORKER, *arguments(workers.hosts)], watch, write)
                return restarts
            except Restartable as error:
                most = self._job.restarts
                if len(restarts) == most:
                    raise RunError(
                        f"{error}; the workers were restarted {most} times (kubeflow.training.restarts)"
                    ) from None
                restarts.append(str(error))
                _LOGGER.info("%s; restarting all workers from the last checkpoint (%d of %d)",
                             error, len(restarts), most)  # fmt: skip

    def _remove_orphans(self) -> None:
        """Deletes a job whose step was killed before it could do so.

        Raises:
            RunError: if the step still runs: two jobs would write the same checkpoints.
        """
        for name, owner in self._runner.orphans():
            if owner is not None:
                raise RunError(
                    f"{self._kind} {name}: trains the same model, and is watched by the pod {owner}; "
                    "wait for that run, or terminate it"
                )
            self._runner.remove_orphan(name)
