"""Processes of this machine that help the step's own with its tasks, started once and kept for the following stages."""

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from hubline.components.spread.worker import work

_GRACE_SECONDS = 5.0
"""How long a process may take to end before it is killed."""


@contextmanager
def kept() -> Iterator["Processes"]:
    """Keeps the processes that stages start until the end of the outermost such block, and then ends them."""
    global _processes
    if _processes is not None:
        yield _processes
        return
    _processes = Processes()
    try:
        yield _processes
    finally:
        _processes.end()
        _processes = None


_processes: "Processes | None" = None


class Processes:
    """The processes that have been started so far."""

    def __init__(self) -> None:
        self._all: list[Process] = []

    @property
    def pids(self) -> list[int]:
        """Their numbers."""
        return [each.pid for each in self._all]

    def ready(self, count: int) -> list["Process"]:
        """So many processes: those that are alive, and new ones."""
        for process in self._all[:count]:
            if not process.is_alive:
                process.end()
                process.start()
        while len(self._all) < count:
            self._all.append(Process(len(self._all)))
        return self._all[:count]

    def end(self) -> None:
        """Ends all processes, whatever they do. The shard cache takes no half-written entry."""
        for process in self._all:
            process.terminate()
        for process in self._all:
            process.end()
        self._all.clear()


@dataclass
class Given:
    """A task that a process was given."""

    task: Any
    has_begun: bool = False
    done: int = 0
    """Records that are done."""


class Process:
    """A process, and the tasks that it was given and hasn't finished."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tasks: dict[str, Given] = {}
        """By key."""
        self.is_alone = False
        """Whether its task is to be done without others at the same time."""
        self.stages = 0
        """Number of the stages that it got; the last one is the current one."""
        self.is_ready = False
        """Whether it has loaded what the current stage needs."""
        self.start()

    def start(self) -> None:
        """Starts the process, or another one in the place of one that has ended."""
        # Not a fork, which would copy locks of TensorFlow's threads in whatever state they are.
        context = multiprocessing.get_context("spawn")
        self.tasks.clear()
        self.is_alone = self.is_ready = False
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    def send(self, message: Any) -> None:
        """Sends a message. If the process is gone, the connection tells so to its reader."""
        with suppress(OSError):
            self.connection.send(message)

    def begin(self, stage: bytes) -> None:
        """Sends a pickled stage without tasks, which the process answers once it has loaded the stage."""
        self.stages += 1
        self.is_ready = False
        self.send((self.stages, stage))

    def takes(self, at_once: int) -> bool:
        """Whether it takes a further task now.

        Args:
            at_once: Tasks that it may do at the same time.
        """
        return self.is_ready and len(self.tasks) < at_once and not (self.tasks and self.is_alone)

    def give(self, task: Any, is_alone: bool = False) -> None:
        """Sends a task of the current stage, if `is_alone` the only one until it is done."""
        self.tasks[task.key] = Given(task)
        self.is_alone = is_alone
        self.send(task)

    def terminate(self) -> None:
        self._process.terminate()

    def end(self) -> str:
        """Ends the process, and says how it ended."""
        self._process.join(_GRACE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self.connection.close()
        code = self._process.exitcode or 0
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
