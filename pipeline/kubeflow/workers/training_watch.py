"""Decides what the pods of a job mean for the training: whether to go on, to restart the workers, or to give up."""

import logging
import time
from collections.abc import Mapping, Sequence

from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers.jobs import Json
from hubline.pipeline.kubeflow.workers.state import WorkerPod, cause, condition, newest
from hubline.pipeline.kubeflow.workers.watch import Watch

_LOGGER = logging.getLogger(__name__)

GRACE_SECONDS = 15.0
"""How long the cause of a failure may appear after its consequences."""


class Restartable(Exception):
    """The workers did not fail by themselves; contains the reason."""


class TrainingWatch(Watch):
    """What one job's pods have said so far."""

    def __init__(self, pending_seconds: float, count: int) -> None:
        super().__init__()
        self._pending_seconds, self._count = pending_seconds, count
        self._begun = time.monotonic()
        self._failed_since: float | None = None
        self._uids: dict[int, str] = {}
        self._all_started = False

    def is_done(self, job: Json, pods: Sequence[WorkerPod], waiting: Sequence[str]) -> bool:
        """Whether the first worker has succeeded, which means that the model is complete.

        Raises:
            Restartable: if workers were killed.
            RunError: if a worker failed, or if workers did not start in time.
        """
        found = newest(pods)
        if condition(job, "Succeeded", "Complete") is not None or (0 in found and found[0].phase == "Succeeded"):
            return True
        self._check_failures(job, found)
        self._check_start(found, list(waiting))
        return False

    def _check_failures(self, job: Json, pods: Mapping[int, WorkerPod]) -> None:
        """Raises if a worker failed, or is no longer the one that it was."""
        now, failure = time.monotonic(), cause(pods)
        if failure and not failure.is_consequence:
            why = f"worker {failure.index}: {failure.why}"
            raise RunError(why) if failure.is_error else Restartable(why)
        gone = [index for index, uid in self._uids.items() if index not in pods or pods[index].uid != uid]
        self._uids |= {index: each.uid for index, each in pods.items()}
        end = condition(job, "Failed")
        if end is None and not failure:
            if gone:  # the operator has replaced it, or will
                raise Restartable(_deleted(gone))
            return
        # The end of a job deletes the pods that still run.
        self._failed_since = self._failed_since or now
        if now - self._failed_since < GRACE_SECONDS:
            return
        if failure:
            raise Restartable(f"worker {failure.index}: {failure.why}")
        if gone and not any(each.phase == "Failed" for each in pods.values()) and "deadline" not in (end or ""):
            raise Restartable(_deleted(gone))
        raise RunError(f"{job['kind']} {job['metadata']['name']} failed: {end}")

    def _check_start(self, pods: Mapping[int, WorkerPod], waiting: list[str]) -> None:
        """Logs what workers wait for, and raises if they have waited too long."""
        if self._all_started:
            return
        if len(pods) == self._count and all(each.has_started for each in pods.values()):
            self._all_started = True
            _LOGGER.info("all %d workers have started", self._count)
            return
        self.tell(waiting)
        if time.monotonic() - self._begun >= self._pending_seconds:
            raise RunError(
                f"{len(waiting)} of {self._count} workers have not started in {self._pending_seconds:g} seconds "
                "(kubeflow.training.pending_seconds):\n  " + "\n  ".join(waiting)
            )


def _deleted(workers: Sequence[int]) -> str:
    return f"pods of workers {', '.join(map(str, workers))} were deleted, as preemption and draining of a node do"
