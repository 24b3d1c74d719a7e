"""Processes of this machine that do the tasks of stages, started once and kept for the following stages."""

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

from hubline.components.spread.progress import Progress
from hubline.components.spread.stage import Stage, Task
from hubline.components.spread.worker import Done, Failed, Logged, work
from hubline.core import interruption
from hubline.core.errors import RunError
from hubline.core.progress import note

_GRACE_SECONDS = 5.0
"""How long a process may take to end before it is killed."""
_PAUSE_SECONDS = 0.2
"""How often the step looks whether it was asked to end."""

_ADVICE = (
    "If memory ran out, set beam.workers lower, or use a machine with more: each worker needs some for a model and its "
    "batches. If not, the log has what the worker wrote last"
)


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
        self._all: list[_Process] = []

    @property
    def pids(self) -> list[int]:
        """Their numbers."""
        return [each.pid for each in self._all]

    def do(self, stage: Stage[Task], tasks: Sequence[Task], count: int, report: Progress) -> None:
        """Does tasks in several processes.

        A task whose process is killed is done once more, by another process.

        Args:
            stage: Describes the tasks.
            tasks: The tasks.
            count: Number of processes.
            report: The progress.

        Raises:
            UserError: the error of a task.
            RunError: if a process is killed for a task for the second time.
        """
        try:
            _StageRun(stage, tasks, self._of(count), report).do()
        except BaseException:
            self.end()  # what still runs in them isn't wanted any more
            raise

    def _of(self, count: int) -> list["_Process"]:
        """So many processes: those that are alive, and new ones."""
        for process in self._all:
            if not process.is_alive:
                process.end()
                process.start()
        self._all += [_Process(number) for number in range(len(self._all), count)]
        return self._all[:count]

    def end(self) -> None:
        """Ends all processes, whatever they do. The shard cache takes no half-written entry."""
        for process in self._all:
            process.terminate()
        for process in self._all:
            process.end()
        self._all.clear()


class _Process:
    """A process, and the tasks that it does at the moment."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tasks: dict[str, tuple[Any, int]] = {}
        """By key, with how many records are done."""
        self.start()

    def start(self) -> None:
        """Starts the process, or another one in the place of one that has ended."""
        # Not a fork, which would copy locks of TensorFlow's threads in whatever state they are.
        context = multiprocessing.get_context("spawn")
        self.tasks.clear()
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

    def give(self, task: Any) -> None:
        self.tasks[task.key] = task, 0
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


class _StageRun:
    """Hands out the tasks of a stage, and listens to the processes."""

    def __init__(self, stage: Stage[Task], tasks: Sequence[Task], processes: list[_Process], report: Progress) -> None:
        self._at_once = -(-stage.at_once // len(processes))
        self._stage = replace(stage, tasks=(), at_once=self._at_once)
        self._waiting = deque(tasks)
        self._processes = processes
        self._report = report
        self._lost: set[str] = set()
        """Keys of the tasks that a process was killed for."""

    def do(self) -> None:
        for process in self._processes:
            process.send(self._stage)
        while self._waiting or any(process.tasks for process in self._processes):
            for process in self._processes:
                while self._waiting and len(process.tasks) < self._at_once:
                    process.give(self._waiting.popleft())
            by_connection: dict[Any, _Process] = {process.connection: process for process in self._processes}
            for ready in wait(list(by_connection), _PAUSE_SECONDS):
                self._hear(by_connection[ready])
            interruption.check()
        for process in self._processes:
            process.send(None)

    def _hear(self, process: _Process) -> None:
        try:
            message = process.connection.recv()
        except (EOFError, OSError):
            self._replace(process)
            return
        match message:
            case Logged(logger, level, text):
                logging.getLogger(logger).log(level, "%s", text)
            case Failed(failure):
                raise failure.error()
            case Done(key, more, is_over):
                task, done = process.tasks.pop(key)
                if not is_over:
                    process.tasks[key] = task, done + more
                self._report(more)

    def _replace(self, process: _Process) -> None:
        """Puts another process in the place of one that is gone, and its tasks back."""
        how = process.end()
        worker = f"worker {process.number + 1} of {len(self._processes)} (process {process.pid}) {how}"
        for key, (task, done) in process.tasks.items():
            at = f"while it did the {self._stage.name} of {task.name}"
            if key in self._lost:
                raise RunError(f"{worker} {at}, as did the one that tried before. {_ADVICE}")
            note(f"{worker} {at}, which another worker does again")
            self._lost.add(key)
            self._report(-done)
        self._waiting.extendleft([task for task, _ in process.tasks.values()])
        process.start()
        process.send(self._stage)
