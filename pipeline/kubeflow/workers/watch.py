"""Decides what the pods of a job mean for the training: whether to go on, to restart the workers, or to give up."""

import logging
import time
from collections.abc import Sequence

from hubline.components.cluster import Unreachable
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers.jobs import Json
from hubline.pipeline.kubeflow.workers.state import WorkerPod, cause, condition

_LOGGER = logging.getLogger(__name__)

GRACE_SECONDS = 15.0
"""How long the cause of a failure may appear after its consequences."""
_UNREACHABLE_SECONDS = 600.0
"""How long the cluster may not answer, for example during its upgrade."""
_QUIET_SECONDS = 30.0
"""Minimum interval between messages about what workers wait for."""


class Restartable(Exception):
    """The workers did not fail by themselves; contains the reason."""


class Watch:
    """What one job's pods have said so far."""

    def __init__(self, pending_seconds: float, count: int) -> None:
        self._pending_seconds, self._count = pending_seconds, count
        self._begun = time.monotonic()
        self._failed_since: float | None = None
        self.unreachable_since: float | None = None
        self._uids: dict[int, str] = {}
        self._told: list[str] = []
        self._told_at = float("-inf")
        self._all_started = False

    def check_failures(self, job: Json, pods: dict[int, WorkerPod]) -> None:
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

    def check_start(self, pods: dict[int, WorkerPod], waiting: list[str]) -> None:
        """Logs what workers wait for, and raises if they have waited too long."""
        if self._all_started:
            return
        if len(pods) == self._count and all(each.has_started for each in pods.values()):
            self._all_started = True
            _LOGGER.info("all %d workers have started", self._count)
            return
        now = time.monotonic()
        if waiting != self._told and now - self._told_at >= _QUIET_SECONDS:  # some reasons have random names in them
            _LOGGER.info("waiting for workers:\n  %s", "\n  ".join(waiting))
            self._told, self._told_at = waiting, now
        if now - self._begun >= self._pending_seconds:
            raise RunError(
                f"{len(waiting)} of {self._count} workers have not started in {self._pending_seconds:g} seconds "
                "(kubeflow.training.pending_seconds):\n  " + "\n  ".join(waiting)
            )

    def check_reachable(self, error: Unreachable) -> None:
        """Raises if the cluster has not answered for too long."""
        now = time.monotonic()
        if self.unreachable_since is None:
            self.unreachable_since = now
            _LOGGER.info("%s; the workers go on, trying again", error)
        if now - self.unreachable_since >= _UNREACHABLE_SECONDS:
            raise error


def _deleted(workers: Sequence[int]) -> str:
    return f"pods of workers {', '.join(map(str, workers))} were deleted, as preemption and draining of a node do"
