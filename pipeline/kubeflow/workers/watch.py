"""What a job and its pods mean for the step: whether to wait on, or to give up."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

from hubline.components.cluster import Unreachable
from hubline.pipeline.kubeflow.workers.jobs import Json
from hubline.pipeline.kubeflow.workers.state import WorkerPod

_LOGGER = logging.getLogger(__name__)

_UNREACHABLE_SECONDS = 600.0
"""How long the cluster may not answer, for example during its upgrade."""
_QUIET_SECONDS = 30.0
"""Minimum interval between messages about what workers wait for."""


class Watch(ABC):
    """What one job and its pods have said so far."""

    def __init__(self) -> None:
        self._unreachable_since: float | None = None
        self._told: list[str] = []
        self._told_at = float("-inf")

    @abstractmethod
    def is_done(self, job: Json, pods: Sequence[WorkerPod], waiting: Sequence[str]) -> bool:
        """Whether the work is done; raises if it failed, or if workers did not start in time.

        Args:
            job: The job.
            pods: Its pods, oldest first.
            waiting: Why workers have not started, one line for each of them.
        """

    def tell(self, waiting: list[str]) -> None:
        """Logs what workers wait for."""
        now = time.monotonic()
        if waiting != self._told and now - self._told_at >= _QUIET_SECONDS:  # some reasons have random names in them
            _LOGGER.info("waiting for workers:\n  %s", "\n  ".join(waiting))
            self._told, self._told_at = waiting, now

    def reached(self) -> None:
        """Takes note that the cluster has answered."""
        self._unreachable_since = None

    def check_reachable(self, error: Unreachable) -> None:
        """Raises if the cluster has not answered for too long."""
        now = time.monotonic()
        if self._unreachable_since is None:
            self._unreachable_since = now
            _LOGGER.info("%s; the workers go on, trying again", error)
        if now - self._unreachable_since >= _UNREACHABLE_SECONDS:
            raise error
