"""Decides what the pods of a job over shards mean for the step.

Kubernetes replaces workers that were killed, so that the step only waits. The Job has failed once one of them has an
error, or was killed too often.
"""

import logging
import re
import time
from collections.abc import Sequence

from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers.jobs import Json
from hubline.pipeline.kubeflow.workers.settings import WorkerPods
from hubline.pipeline.kubeflow.workers.state import Failure, WorkerPod, condition, newest
from hubline.pipeline.kubeflow.workers.watch import Watch

_LOGGER = logging.getLogger(__name__)


class ShardWatch(Watch):
    """What one job's pods have said so far."""

    def __init__(self, settings: WorkerPods, count: int) -> None:
        super().__init__()
        self._settings, self._count = settings, count
        self._idle_since: float | None = None
        self._failures: dict[str, Failure] = {}

    def is_done(self, job: Json, pods: Sequence[WorkerPod], waiting: Sequence[str]) -> bool:
        """Whether all workers have succeeded.

        Raises:
            RunError: if a worker failed by itself or was killed too often, or if no worker started in time.
        """
        self._note_failures(pods)
        if condition(job, "Complete") is not None:
            return True
        if (end := condition(job, "Failed", "FailureTarget")) is not None:
            raise RunError(self._why(job, end))
        self._check_start(list(newest(pods).values()), [*waiting, *_leaving(pods)])
        return False

    def _note_failures(self, pods: Sequence[WorkerPod]) -> None:
        """Logs that workers were killed; raises the error of one that failed by itself, without waiting for the Job."""
        for pod in pods:
            failure = None if pod.uid in self._failures else pod.failure()
            if failure is None:
                continue
            self._failures[pod.uid] = failure
            if failure.is_error:
                raise RunError(f"worker {failure.index}: {failure.why}")
            _LOGGER.info("worker %d: %s", failure.index, self._explained(failure))

    def _why(self, job: Json, end: str) -> str:
        """Why the job failed."""
        first = re.match(r"\d+", job["status"].get("failedIndexes", ""))
        if first is None:
            return f"{job['kind']} {job['metadata']['name']} failed: {end}"
        index, most = int(first[0]), self._settings.job.restarts
        whys = [self._explained(each) for each in self._failures.values() if each.index == index]
        return (
            f"worker {index}: {whys[-1] if whys else 'its pod was deleted'}; it was replaced {most} "
            f"time{'s' * (most != 1)} (kubeflow.workers.restarts). Shards that are done stay done: the next run goes "
            "on from here"
        )

    def _explained(self, failure: Failure) -> str:
        if failure.reason != "OOMKilled":
            return failure.why
        memory, key = self._settings.placement.memory, f"kubeflow.steps.{self._settings.step}.memory"
        return f"{failure.why}: " + (f"it needs more than {key}: {memory}" if memory else f"set {key}")

    def _check_start(self, pods: Sequence[WorkerPod], waiting: list[str]) -> None:
        """Logs what workers wait for, and raises if all that are left have waited too long."""
        if any(each.is_running for each in pods):
            self._idle_since = None
        elif self._idle_since is None:
            self._idle_since = time.monotonic()
        if not waiting:
            return
        self.tell(waiting)
        seconds = self._settings.job.pending_seconds
        if self._idle_since is not None and time.monotonic() - self._idle_since >= seconds:
            raise RunError(
                f"{len(waiting)} of {self._count} workers have not started in {seconds:g} seconds "
                "(kubeflow.workers.pending_seconds):\n  " + "\n  ".join(waiting)
            )


def _leaving(pods: Sequence[WorkerPod]) -> list[str]:
    """Workers that can't be replaced yet. On a node that doesn't answer, a pod stays until the node is back or gone."""
    return [
        f"worker {index}: its pod is deleted, but not ended yet by its node, {pod.content['spec'].get('nodeName')}"
        for index, pod in newest(pods).items()
        if pod.is_deleted and not pod.has_ended
    ]
