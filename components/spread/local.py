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
from hubline.components.spread.worker import Begun, Done, Failed, Logged, Ready
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

    A task whose process is killed is done once more, alone in another process: of several at a time, only one may be
    to blame.

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
        self._suspects: deque[Any] = deque()
        """Tasks that a process was killed with, to be done alone in another."""

    def do(self) -> None:
        try:
            self._own.start()
            for helper in self._helpers:
                helper.begin(self._pickled)
            while True:
                self._hand_out()
                if self._is_over:
                    return
                self._receive()
                interruption.check()
        finally:
            self._own.end()
            for helper in self._helpers:
                helper.send(None)

    @property
    def _is_over(self) -> bool:
        is_left = self._waiting or self._suspects or any(helper.tasks for helper in self._helpers)
        return self._own.is_idle and not is_left

    def _hand_out(self) -> None:
        for helper in self._helpers:
            if helper.is_ready and self._suspects and not helper.tasks:
                helper.give(self._suspects.popleft(), is_alone=True)
            while helper.takes(self._at_once) and (task := self._own.next()) is not None:
                helper.give(task)
        if self._suspects and not self._helpers:  # this process must not be the next that the task kills
            raise RunError(
                f"a worker was killed while it did the {self._name} of {self._suspects[0].name}, and no worker is left "
                f"to try again. {_ADVICE}"
            )
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
            case Begun(key):
                helper.tasks[key].has_begun = True
            case Done(key, more, is_over):
                helper.tasks[key].done += more
                self._report(more)
                if is_over:
                    del helper.tasks[key]

    def _replace(self, helper: Process) -> None:
        """Puts another process in the place of one that is gone, and its tasks back."""
        how, tasks, was_alone = helper.end(), list(helper.tasks.values()), helper.is_alone
        worker = f"worker {helper.number + 2} of {self._workers} (process {helper.pid}) {how}"
        if not tasks:
            note(f"{worker} before it had a task; the others do the {self._name} without it")
            self._helpers = [each for each in self._helpers if each is not helper]
            return
        to_blame = [given for given in tasks if given.has_begun] or tasks
        at = f"while it did the {self._name} of {', '.join(given.task.name for given in to_blame)}"
        if was_alone:
            raise RunError(f"{worker} {at}, as did the one that tried before. {_ADVICE}")
        note(f"{worker} {at}, which another worker does again")
        self._suspects.extend(given.task for given in to_blame)
        self._waiting.extendleft(given.task for given in tasks if given not in to_blame)
        self._report(-sum(given.done for given in to_blame))
        helper.start()
        helper.begin(self._pickled)
