"""Workers as processes of this machine."""

import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

from hubline.components.trainer import worker_errors, worker_log
from hubline.core import interruption
from hubline.core.errors import RunError

_LOGGER = logging.getLogger(__name__)

RESTARTS = 3
"""How often workers may be restarted."""
LOST_PEER = 138
"""Exit code of a worker that lost its connection to another: a consequence, never the cause. Training Operator takes it
for an error after which a worker may be restarted."""
MODULE = "hubline.components.trainer.worker"
"""What each worker runs."""
_FIRST_SIGNAL = 128
_PAUSE_SECONDS = 0.1
GRACE_SECONDS = 15.0
"""How long workers may take to end after another one has failed, whose error may be a consequence of theirs, or after
SIGTERM."""
_LAST_LINES = 20


def run(job_path: str, workers: int) -> list[str]:
    """Trains.

    Args:
        job_path: The job's file.
        workers: Number of workers.

    Returns:
        Why the workers were restarted, once for each time.

    Raises:
        UserError: the error of a worker.
        RunError: if a worker fails without one, or if workers are killed too often.
    """
    restarts: list[str] = []
    while (why := _run_once(job_path, workers)) is not None:
        if len(restarts) == RESTARTS:
            raise RunError(f"{why}; the workers were restarted {RESTARTS} times")
        restarts.append(why)
        _LOGGER.warning("%s; restarting all workers from the last checkpoint", why)
    return restarts


def _run_once(job_path: str, count: int) -> str | None:
    """Trains; returns why all workers must be restarted, if they must: the strategy can't take back one of them."""
    hosts = [f"127.0.0.1:{port}" for port in _free_ports(count)]
    with ExitStack() as stack:
        workers = [stack.enter_context(_worker(job_path, hosts, index)) for index in range(count)]
        return _why_restarted(job_path, _wait(workers))


def _why_restarted(job_path: str, ended: list["_Worker"]) -> str | None:
    """Why workers that have ended must be restarted; None if they succeeded.

    Raises:
        UserError: if one of them failed by itself.
    """
    failed = [worker for worker in ended if worker.code]
    causes = [worker for worker in failed if worker.code != LOST_PEER]
    if not failed:
        return None
    if not causes:
        return "the workers lost their connection"
    first = causes[0]
    if not _is_killed(first):
        worker_errors.raise_first(job_path)
        raise RunError(f"worker {first.index} failed with exit code {first.code}:\n{first.last_lines}")
    return f"worker {first.index}: killed (exit code {first.code})"


class _Worker:
    """A worker's process."""

    def __init__(self, index: int, process: subprocess.Popen[str], errors: IO[bytes]) -> None:
        self.index, self.process, self._errors = index, process, errors
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            worker_log.pass_on(line.rstrip("\n"), f"worker {self.index}")

    @property
    def code(self) -> int:
        """Exit code, after the process has ended: 128 plus the number of the signal that ended the process, if any."""
        return interruption.shell_code(self.process.wait())

    @property
    def last_lines(self) -> str:
        """The end of what the process wrote to standard error."""
        self._errors.seek(0)
        return "\n".join(self._errors.read().decode(errors="replace").splitlines()[-_LAST_LINES:])

    def end(self) -> None:
        """Ends the process if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self._reader.join()


@contextmanager
def _worker(job_path: str, hosts: list[str], index: int) -> Iterator[_Worker]:
    """Starts a worker, and ends it at the end of the block."""
    config = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
    # A worker that is killed can't remove its temporary files.
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryDirectory() as scratch:
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, job_path],
            env={**os.environ, "TF_CONFIG": json.dumps(config), "TMPDIR": scratch},
            stdin=subprocess.PIPE,  # ends with this process, even if it is killed, and the worker with it
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C reaches this process only, which then ends the workers
        )
        worker = _Worker(index, process, errors)
        try:
            yield worker
        finally:
            worker.end()


def _wait(workers: list[_Worker]) -> list[_Worker]:
    """Waits until all workers have ended; returns them in the order in which they did.

    After a failure, the others have a while to fail too, and are then left to be ended; after one was killed, at once:
    they would wait for it for ever.
    """
    ended: list[_Worker] = []
    deadline = float("inf")
    while len(ended) < len(workers) and time.monotonic() < deadline:
        interruption.check()
        news = [each for each in workers if each not in ended and each.process.poll() is not None]
        ended += sorted(news, key=lambda each: each.code == LOST_PEER)
        if any(_is_killed(each) for each in news):
            return ended
        if any(each.code for each in news):
            deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
        time.sleep(_PAUSE_SECONDS)
    return ended


def _is_killed(worker: _Worker) -> bool:
    return worker.code >= _FIRST_SIGNAL and worker.code != LOST_PEER


def _free_ports(count: int) -> list[int]:
    """Ports that no process uses."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
