"""Runs the workers' job from the step's pod: creates it, watches it, restarts it, and deletes it in any case.

A training strategy can't take back one worker of several. So if a worker is killed, evicted or preempted, all are
replaced, by a new job, and resume from the last checkpoint.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hubline.components.cluster import Unreachable
from hubline.core import interruption
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers import manifests, pod
from hubline.pipeline.kubeflow.workers.jobs import Jobs, Json
from hubline.pipeline.kubeflow.workers.manifests import JOB_LABEL, Workers
from hubline.pipeline.kubeflow.workers.pod_logs import PodLogs
from hubline.pipeline.kubeflow.workers.settings import WorkerPods
from hubline.pipeline.kubeflow.workers.state import condition, pending, worker_pods
from hubline.pipeline.kubeflow.workers.watch import Restartable, Watch

_LOGGER = logging.getLogger(__name__)

PAUSE_SECONDS = 3.0
"""Interval between polls."""
_GONE_SECONDS = 120.0
"""How long pods may take to end."""
_TRIES = 5
_LOG_SECONDS = 10.0
"""How long to read the rest of the logs."""


class Coordinator:
    """The training of one model by the workers of a job."""

    def __init__(self, jobs: Jobs, settings: WorkerPods, training: str, count: int) -> None:
        """Finds the step's own pod.

        Args:
            jobs: Client.
            settings: The job and its pods.
            training: Key of the checkpoints.
            count: Number of workers.
        """
        self._jobs, self._settings, self._training, self._count = jobs, settings, training, count
        self._own = jobs.own_pod()

    def run(
        self, arguments: Callable[[list[str]], list[str]], scratch: list[str], write: Callable[[str, str], None]
    ) -> list[str]:
        """Trains.

        Args:
            arguments: Arguments of a worker's pod, given the addresses of the workers of an indexed Job.
            scratch: Folders of artifacts in the workers' pods.
            write: Takes a line of a worker's log, and the name of the worker.

        Returns:
            Why the workers were restarted, once for each time.

        Raises:
            RunError: if a worker fails, if workers do not start in time, or after too many restarts.
        """
        self._remove_orphans()
        restarts: list[str] = []
        while True:
            workers = self._workers(len(restarts))
            labels = {JOB_LABEL: workers.name}
            template = pod.template(self._settings, arguments(workers.hosts), scratch, self._own, labels)
            try:
                with self._created(workers, template):
                    self._watch(workers.name, write)
                return restarts
            except Restartable as error:
                most = self._settings.job.restarts
                if len(restarts) == most:
                    raise RunError(
                        f"{error}; the workers were restarted {most} times (kubeflow.training.restarts)"
                    ) from None
                restarts.append(str(error))
                _LOGGER.info("%s; restarting all workers from the last checkpoint (%d of %d)",
                             error, len(restarts), most)  # fmt: skip

    def _workers(self, attempt: int) -> Workers:
        return Workers(
            name=f"trainer-{self._training}-{self._own['metadata']['uid'][:5]}-{attempt}".lower(),
            namespace=self._jobs.namespace,
            training=self._training,
            count=self._count,
            settings=self._settings.job,
            seconds=self._settings.placement.timeout_seconds,
            owner=self._own,
        )

    def _remove_orphans(self) -> None:
        """Deletes a job whose step was killed before it could do so.

        Raises:
            RunError: if the step still runs: two jobs would write the same checkpoints.
        """
        for job in self._jobs.of_training(self._training):
            name, owner = job["metadata"]["name"], job["metadata"]["ownerReferences"][0]
            if self._jobs.is_running(owner["name"], owner["uid"]):
                raise RunError(
                    f"{self._jobs.kind.name} {name}: trains the same model, and is watched by the pod {owner['name']}; "
                    "wait for that run, or terminate it"
                )
            _LOGGER.info("%s %s is left of a step that was killed; deleting it", self._jobs.kind.name, name)
            self._delete(name)

    @contextmanager
    def _created(self, workers: Workers, template: Json) -> Iterator[None]:
        """Creates a job, and deletes it at the end of the block."""
        kind, name = self._jobs.kind.name, workers.name
        try:
            self._jobs.create(manifests.job(workers, template), manifests.service(workers))
            _LOGGER.info("%s %s with %d workers", kind, name, workers.count)
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

    def _watch(self, name: str, write: Callable[[str, str], None]) -> None:
        """Returns when the first worker has succeeded, which means that the model is complete.

        Raises:
            Restartable: if workers were killed.
            RunError: if a worker failed, or if workers did not start in time.
        """
        logs, watch = PodLogs(self._jobs, write), Watch(self._settings.job.pending_seconds, self._count)
        try:
            while not self._is_done(name, logs, watch):
                interruption.check()
                time.sleep(PAUSE_SECONDS)
        finally:
            if not interruption.received():
                logs.finish(_LOG_SECONDS)

    def _is_done(self, name: str, logs: PodLogs, watch: Watch) -> bool:
        try:
            job = self._jobs.get(name)
            pods = worker_pods(self._jobs.kind, self._jobs.pods(name))
            if job is None:
                raise RunError(f"{self._jobs.kind.name} {name}: was deleted by someone else")
            logs.follow(pods.values())
            if condition(job, "Succeeded", "Complete") is not None or (0 in pods and pods[0].phase == "Succeeded"):
                return True
            watch.check_failures(job, pods)
            watch.check_start(pods, list(pending(job, pods, self._count, self._jobs.warnings)))
            watch.unreachable_since = None
        except Unreachable as error:
            watch.check_reachable(error)
        return False
