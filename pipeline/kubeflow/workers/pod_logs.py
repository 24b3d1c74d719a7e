"""Streams the logs of the workers' pods into the step's log."""

import logging
import threading
import time
from collections.abc import Callable, Iterable

from urllib3.exceptions import HTTPError

from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers.jobs import Jobs
from hubline.pipeline.kubeflow.workers.state import WorkerPod

_LOGGER = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0


class PodLogs:
    """Follows each pod in a thread of its own; a pod's log ends with the pod."""

    def __init__(self, jobs: Jobs, write: Callable[[str, str], None]) -> None:
        """Prepares to follow pods.

        Args:
            jobs: Client.
            write: Takes a line of a log, and the name of its worker.
        """
        self._jobs, self._write = jobs, write
        self._threads: dict[str, threading.Thread] = {}
        self._complete: set[str] = set()
        self._ended = threading.Event()

    def follow(self, pods: Iterable[WorkerPod]) -> None:
        """Begins to follow the pods that have started."""
        for pod in pods:
            if pod.has_ended:
                self._complete.add(pod.uid)
            if pod.has_started and pod.uid not in self._threads:
                thread = threading.Thread(target=self._follow, args=(pod,), daemon=True)
                self._threads[pod.uid] = thread
                thread.start()

    def finish(self, seconds: float) -> None:
        """Waits for the rest of the logs of pods that have ended, at most `seconds`, and writes no more."""
        deadline = time.monotonic() + seconds
        for uid in self._complete:
            self._threads[uid].join(max(0.0, deadline - time.monotonic()))
        self._ended.set()

    def _follow(self, pod: WorkerPod) -> None:
        """Writes a pod's log. A broken connection is restored, from the line after the last one."""
        last, failures = "", 0
        while not self._ended.is_set():
            known = last
            try:
                for raw in self._jobs.follow(pod.name):
                    at, _, line = raw.decode(errors="replace").rstrip("\n").partition(" ")
                    if at > known and not self._ended.is_set():
                        last, failures = at, 0
                        self._write(line, f"worker {pod.index}")
                return
            except (HTTPError, RunError) as error:  # the log of a pod that is gone is gone, too
                failures += 1
                if failures > 3:
                    _LOGGER.info("worker %d: no more of its log: %s", pod.index, error)
                    return
                time.sleep(_PAUSE_SECONDS)
