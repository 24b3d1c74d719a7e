"""A stage in several processes of this machine, of which the step's own is one.

The step's own process begins at once, as it has loaded much of what the stage needs; the others join when they are
ready. So several processes are not slower than one, however little there is to do.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from multiprocessing.reduction import ForkingPickler
from typing import Any

from hubline.components.spread.own_tasks import OwnTasks
from hubline.components.spread.processes import Process, Processes
from hubline.components.spread.progress import Progress
from hubline.components.spread.stage import Stage, Task
from hubline.components.spread.worker import Done, Failed, Logged, Ready
from hubline.core import interruption
from hubline.core.errors import RunError
from hubline.core.progress import note

_PAUSE_SECONDS = 0.2
"""How often the step looks whether it was asked to end."""

_ADVICE = (
    "If memory ran out, set beam.workers lower, or use a machine with more: each worker needs some for a model and its "
    "batches. If not, the log has what the worker wrote last"
)


def run(stage: Stage[Task], tasks: Sequence[Task], workers: int, report: Progress, processes: Processes) -> None:
    """Runs tasks in several processes.

    A task whose process is killed is done once more, by another process.

    Args:
        stage: Describes the tasks.
        tasks: The tasks.
        workers: Number of processes, with the step's own.
        report: The progress.
        processes: Those that help.

    Raises:
        UserError: the error of a task.
        RunError: if a process is killed for a task for the second time.
    """
    try:
        _StageRun(stage, tasks, processes.ready(workers - 1), report).do()
    except BaseException:
        processes.end()  # what still runs in them is no longer needed
        raise


class _StageRun:
    """Hands out the tasks of a stage, and listens to the processes."""

    def __init__(self, stage: Stage[Task], tasks: Sequence[Task], helpers: list[Process], report: Progress) -> None:
        self._at_once = -(-stage.at_once // (len(helpers) + 1))
        stage = replace(stage, tasks=(), at_once=self._at_once)
        self._name = stage.name
        # Before any task opens a model, which can't be sent to another process.
        self._pickled = bytes(ForkingPickler.dumps(stage))
        self._waiting = deque(tasks)
        self._helpers = helpers
        self._workers = len(helpers) + 1
        self._own = OwnTasks(stage, self._waiting, report)
        self._report = report
        self._lost: set[str] = set()
        """Keys of the tasks that a process was killed for."""

    def do(self) -> None:
        try:
            self._own.start()
            for helper in self._helpers:
                helper.begin(self._pickled)
            while True:
                self._hand_out()
                if self._own.is_idle and not self._waiting and not any(helper.tasks for helper in self._helpers):
                    return
                self._receive()
                interruption.check()
        finally:
            self._own.end()
            for helper in self._helpers:
                helper.send(None)

    def _hand_out(self) -> None:
        for helper in self._helpers:
            while helper.is_ready and len(helper.tasks) < self._at_once and (task := self._own.next()) is not None:
                helper.give(task)
        if self._waiting:
            self._own.start()

    def _receive(self) -> None:
        by_connection: dict[Any, Process] = {helper.connection: helper for helper in self._helpers}
        for ready in wait([*by_connection, self._own.connection], _PAUSE_SECONDS):
            if ready is self._own.connection:
                self._own.connection.recv()
            else:
                self._receive_from(by_connection[ready])

    def _receive_from(self, helper: Process) -> None:
        try:
            message = helper.connection.recv()
        except (EOFError, OSError):
            self._replace(helper)
            return
        match message:
            case Ready(stage):
                helper.is_ready = stage == helper.stages
            case Logged(logger, level, text):
                logging.getLogger(logger).log(level, "%s", text)
            case Failed(failure, stage):
                if stage == helper.stages:
                    raise failure.error()
            case Done(key, more, is_over):
                task, done = helper.tasks.pop(key)
                if not is_over:
                    helper.tasks[key] = task, done + more
                self._report(more)

    def _replace(self, helper: Process) -> None:
        """Puts another process in the place of one that is gone, and its tasks back."""
        how = helper.end()
        worker = f"worker {helper.number + 2} of {self._workers} (process {helper.pid}) {how}"
        for key, (task, done) in helper.tasks.items():
            at = f"while it did the {self._name} of {task.name}"
            if key in self._lost:
                raise RunError(f"{worker} {at}, as did the one that tried before. {_ADVICE}")
            note(f"{worker} {at}, which another worker does again")
            self._lost.add(key)
            self._report(-done)
        if not helper.tasks:
            note(f"{worker} before it had a task; the others do the {self._name} without it")
            self._helpers = [each for each in self._helpers if each is not helper]
            return
        self._waiting.extendleft([task for task, _ in helper.tasks.values()])
        helper.start()
        helper.begin(self._pickled)
