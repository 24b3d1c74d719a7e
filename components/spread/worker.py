"""A kept process of this machine that does tasks. Imports no TensorFlow: stages bring what they need."""

import gc
import logging
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from hubline.components.spread.failure import Failure
from hubline.components.spread.stage import Stage

_PAUSE_SECONDS = 0.2
"""Between two messages about the progress of a task."""


@dataclass(frozen=True)
class Ready:
    """A stage that was loaded."""

    stage: int
    """Its number."""


@dataclass(frozen=True)
class Begun:
    """A task that is worked on from now on."""

    key: str


@dataclass(frozen=True)
class Done:
    """Progress of a task."""

    key: str
    more: int
    is_over: bool = False


@dataclass(frozen=True)
class Failed:
    """A task or a stage that failed."""

    failure: Failure
    stage: int
    """Number of the stage that it belongs to."""


@dataclass(frozen=True)
class Logged:
    """A message of one of Hubline's own loggers."""

    logger: str
    level: int
    text: str


def work(connection: Connection) -> None:
    """Does tasks until the other end of the connection is closed, or the process that holds it is gone.

    Receives a pickled stage without tasks and its number, tasks of this stage, and None at its end. Sends `Ready`,
    `Begun`, `Done`, `Failed` and `Logged`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the step, which then ends its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # TensorFlow would take all memory of the GPUs, once for each process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sending = _Sending(connection)
    ours = logging.getLogger("hubline")
    ours.addHandler(_ToParent(sending))
    ours.setLevel(logging.INFO)
    ours.propagate = False
    worker: _Worker | None = None
    number = 0
    while True:
        try:
            received = connection.recv()
            if isinstance(received, tuple):
                number = received[0]
                worker = _Worker(
                    ForkingPickler.loads(received[1]), number, sending
                )  # nothing else holds the stage's models
                sending(Ready(number))
            elif received is None:
                worker = None
                gc.collect()  # models, with their cycles
            elif worker:
                worker.start(received)
        except EOFError:
            os._exit(0)  # nothing is left to do; Python would first wait for threads
        except Exception as error:
            sending(Failed(Failure.of(error), number))


class _Sending:
    """Sends one message at a time, from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def __call__(self, message: Ready | Begun | Done | Failed | Logged) -> None:
        with self._lock:
            self._connection.send(message)


class _ToParent(logging.Handler):
    """Sends log messages to the step."""

    def __init__(self, sending: _Sending) -> None:
        super().__init__()
        self._sending = sending

    def emit(self, record: logging.LogRecord) -> None:
        self._sending(Logged(record.name, record.levelno, self.format(record)))


class _Worker:
    """Does the tasks of a stage."""

    def __init__(self, stage: Stage[Any], number: int, sending: _Sending) -> None:
        self._stage, self._number, self._sending = stage, number, sending
        self._pool = ThreadPoolExecutor(stage.at_once)

    def start(self, task: Any) -> None:
        self._pool.submit(self._do, task).add_done_callback(_end_if_failed)

    def _do(self, task: Any) -> None:
        report = _Report(task.key, self._sending)
        self._sending(Begun(task.key))
        try:
            self._stage.do(task, report)
            report.end()
        except Exception as error:
            self._sending(Failed(Failure.of(error), self._number))


class _Report:
    """Sums up the progress of a task, to send it a few times a second."""

    def __init__(self, key: str, sending: _Sending) -> None:
        self._key, self._sending = key, sending
        self._more, self._sent = 0, time.monotonic()

    def __call__(self, more: int) -> None:
        self._more += more
        if time.monotonic() - self._sent >= _PAUSE_SECONDS:
            self._sending(Done(self._key, self._more))
            self._more, self._sent = 0, time.monotonic()

    def end(self) -> None:
        self._sending(Done(self._key, self._more, is_over=True))


def _end_if_failed(done: Future[None]) -> None:
    """Ends this process if not even an error could be sent; the step would otherwise wait for the task for ever."""
    if done.exception() is not None:
        os._exit(1)


def _end_with_parent() -> None:
    """Ends this process as soon as the one that started it is gone, even if killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
