"""The tasks that the step's own process does, in threads."""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import Pipe
from typing import Any

from hubline.components.spread.progress import Progress
from hubline.components.spread.stage import Stage


class Ended(Exception):
    """Another process has failed, so what is done here is no longer needed."""


class OwnTasks:
    """Takes tasks that wait, one after the other, as long as there are any."""

    def __init__(self, stage: Stage[Any], waiting: deque[Any], report: Progress) -> None:
        self._stage, self._waiting, self._report = stage, waiting, report
        self._pool = ThreadPoolExecutor(stage.at_once)
        self._threads: list[Future[None]] = []
        self._is_ending = False
        self.connection, self._sender = Pipe(duplex=False)
        """Receives a message when nothing is left to do here, or a task failed."""

    def start(self) -> None:
        """Begins to take tasks, again if necessary.

        Raises:
            UserError: the error of a task that failed.
        """
        if self.is_idle:
            self._threads = [self._pool.submit(self._work) for _ in range(self._stage.at_once)]

    @property
    def is_idle(self) -> bool:
        """Whether no task is being done here. Raises the error of a task that failed, so that none is overlooked."""
        ended = [thread for thread in self._threads if thread.done()]
        for thread in ended:
            thread.result()
        return len(ended) == len(self._threads)

    def end(self) -> None:
        """Ends what is still being done, at its next report."""
        self._is_ending = True
        self._pool.shutdown(cancel_futures=True)
        self.connection.close()
        self._sender.close()

    def next(self) -> Any:
        """Takes the next task that waits; None if there is none."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def _work(self) -> None:
        try:
            while not self._is_ending and (task := self.next()) is not None:
                self._stage.do(task, self._counted)
        finally:
            self._sender.send(None)

    def _counted(self, more: int) -> None:
        if self._is_ending:
            raise Ended
        self._report(more)
