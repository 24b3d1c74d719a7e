"""The life of one job: it is created, watched until its work is done, and deleted in any case."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from hubline.components.cluster import Unreachable
from hubline.core import interruption
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers import manifests, pod
from hubline.pipeline.kubeflow.workers.jobs import Jobs, Json
from hubline.pipeline.kubeflow.workers.manifests import JOB_LABEL, Workers
from hubline.pipeline.kubeflow.workers.pod_logs import PodLogs
from hubline.pipeline.kubeflow.workers.settings import WorkerPods
from hubline.pipeline.kubeflow.workers.state import newest, pending, worker_pods
from hubline.pipeline.kubeflow.workers.watch import Watch

_LOGGER = logging.getLogger(__name__)

PAUSE_SECONDS = 3.0
"""Interval between polls."""
_GONE_SECONDS = 120.0
"""How long pods may take to end."""
_TRIES = 5
_LOG_SECONDS = 10.0
"""How long to read the rest of the logs."""

Write = Callable[[str, str], None]
"""Takes a line of a worker's log, and the name of the worker."""


class JobRunner:
    """Runs the jobs of a step from the step's own pod."""

    def __init__(self, jobs: Jobs, settings: WorkerPods, work: str, scratch: Sequence[str]) -> None:
        """Finds the step's own pod.

        Args:
            jobs: Client.
            settings: The job and its pods.
            work: Key of what the workers do.
            scratch: Folders of artifacts in the workers' pods.
        """
        self._jobs, self._settings, self._work, self._scratch = jobs, settings, work, scratch
        self._own = jobs.own_pod()

    def workers(self, count: int, attempt: int = 0) -> Workers:
        """The workers of a job.

        Args:
            count: Number of workers.
            attempt: Number of the job, from 0.
        """
        settings = self._settings
        return Workers(
            name=f"{settings.step}-{self._work}-{self._own['metadata']['uid'][:5]}-{attempt}".lower(),
            namespace=self._jobs.namespace,
            work=self._work,
            kind=settings.kind,
            count=count,
            settings=settings.job,
            seconds=settings.placement.timeout_seconds,
            owner=self._own,
        )

    def run(self, workers: Workers, command: Sequence[str], watch: Watch, write: Write) -> None:
        """Runs a job.

        Args:
            workers: The workers.
            command: Python module that each worker runs, and its arguments.
            watch: Decides when the work is done; raises if it can't be done.
            write: Called with the lines of the workers' logs.
        """
        template = pod.template(self._settings, command, self._scratch, self._own, {JOB_LABEL: workers.name})
        with self._created(workers, template):
            self._watch(workers, watch, write)

    def orphans(self) -> Iterator[tuple[str, str | None]]:
        """Jobs for the same work of other pods: the name of each, and of its step's pod if that still runs."""
        for job in self._jobs.of_work(self._work):
            owner = job["metadata"]["ownerReferences"][0]
            is_running = self._jobs.is_running(owner["name"], owner["uid"])
            yield job["metadata"]["name"], owner["name"] if is_running else None

    def remove_orphan(self, name: str) -> None:
        """Deletes a job whose step was killed before it could do so."""
        _LOGGER.info("%s %s is left of a step that was killed; deleting it", self._jobs.kind.name, name)
        self._delete(name)

    @contextmanager
    def _created(self, workers: Workers, template: Json) -> Iterator[None]:
        """Creates a job, and deletes it at the end of the block."""
        kind, name = self._jobs.kind.name, workers.name
        try:
            self._jobs.create(manifests.job(workers, template), manifests.service(workers))
            _LOGGER.info("%s %s with %d worker%s", kind, name, workers.count, "s" * (workers.count > 1))
            yield
        finally:
            # Stops further interruptions: without its watcher, the job would go on.
            if interruption.ended_by():
                self._delete_at_once(name)
            else:
                self._delete(name)

    def _delete_at_once(self, name: str) -> None:
        """Deletes a job in the seconds before this pod is killed."""
        for _ in range(_TRIES):
            try:
                return self._jobs.delete(name)
            except Unreachable as error:
                _LOGGER.warning("%s is not deleted: %s; trying again", name, error)
                time.sleep(PAUSE_SECONDS)

    def _delete(self, name: str) -> None:
        """Deletes a job, and waits until its pods have ended."""
        deadline = time.monotonic() + _GONE_SECONDS
        while True:
            try:
                self._jobs.delete(name)
                left = [each["metadata"]["name"] for each in self._jobs.pods(name)]
            except Unreachable as error:
                left = [str(error)]
            if not left:
                return
            if time.monotonic() > deadline:  # on a node that is gone, a pod stays until the node is removed
                _LOGGER.warning("%s is deleted, but not yet: %s", name, ", ".join(left))
                return
            interruption.check()
            time.sleep(PAUSE_SECONDS)

    def _watch(self, workers: Workers, watch: Watch, write: Write) -> None:
        logs = PodLogs(self._jobs, write)
        try:
            while not self._is_done(workers, logs, watch):
                interruption.check()
                time.sleep(PAUSE_SECONDS)
        finally:
            if not interruption.received():
                logs.finish(_LOG_SECONDS)

    def _is_done(self, workers: Workers, logs: PodLogs, watch: Watch) -> bool:
        try:
            job = self._jobs.get(workers.name)
            pods = worker_pods(self._jobs.kind, self._jobs.pods(workers.name))
            if job is None:
                raise RunError(f"{self._jobs.kind.name} {workers.name}: was deleted by someone else")
            logs.follow(pods)
            waiting = list(pending(job, newest(pods), workers.count, self._jobs.warnings))
            if watch.is_done(job, pods, waiting):
                return True
            watch.reached()
        except Unreachable as error:
            watch.check_reachable(error)
        return False
