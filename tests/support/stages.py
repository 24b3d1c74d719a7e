"""Stages without TensorFlow, for workers that start quickly."""

import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hubline.components.spread.stage import Report, Stage
from hubline.core.errors import DataError
from hubline.core.shard_cache import ShardCache

FILE = "result.json"


@dataclass(frozen=True)
class Number:
    """A task."""

    number: int
    count: int = 1
    size: int = 1

    @property
    def key(self) -> str:
        return f"key{self.number}"

    @property
    def name(self) -> str:
        return f"shard-{self.number}"


Fill = Callable[[Number, str, Report], None]


@dataclass(frozen=True)
class Sleeping:
    """Takes its time, and writes down which process did the task, and when."""

    seconds: float = 0.0

    def __call__(self, task: Number, folder: str, report: Report) -> None:
        began = time.monotonic()
        while (left := began + self.seconds - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))
            report(0)
        report(task.count)
        found = {"pid": os.getpid(), "began": began, "ended": time.monotonic(), "square": task.number**2}
        Path(folder, FILE).write_text(json.dumps(found))


@dataclass(frozen=True)
class Meeting:
    """Is done only once so many tasks are being done at the same time."""

    tasks: int
    marks: str
    """Folder for a file of each task that has begun."""

    def __call__(self, task: Number, folder: str, report: Report) -> None:
        Path(self.marks, str(task.number)).touch()
        deadline = time.monotonic() + 60
        while len(list(Path(self.marks).iterdir())) < self.tasks:
            assert time.monotonic() < deadline, "the others didn't begin"
            time.sleep(0.02)
        report(task.count)
        Path(folder, FILE).write_text(json.dumps({"pid": os.getpid()}))


@dataclass(frozen=True)
class Refusing:
    """Refuses one of the tasks."""

    refused: int
    error: Exception
    in_a_helper: bool = False
    """Whether the step's own process only waits, so that another one refuses."""

    def __call__(self, task: Number, folder: str, report: Report) -> None:
        while self.in_a_helper and not is_helper():
            time.sleep(0.01)
            report(0)
        if task.number == self.refused:
            raise self.error
        Path(folder, FILE).write_text("{}")


@dataclass(frozen=True)
class Killed:
    """Is killed at a task as the kernel does when memory runs out, as often as said, while the step's own process does
    its first task."""

    at: int
    times: int
    marks: str
    """Folder for a file each time."""

    @cached_property
    def _model(self) -> threading.Lock:
        """Stands for what a stage opens and can't be sent to another process."""
        return threading.Lock()

    def __call__(self, task: Number, folder: str, report: Report) -> None:
        assert self._model
        while not is_helper() and task.number == 0 and self._killed < self.times:
            time.sleep(0.01)
            report(0)
        if is_helper() and task.number == self.at and self._killed < self.times:
            report(1)
            time.sleep(0.3)  # long enough for the report to be sent
            report(0)
            Path(self.marks, str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        report(task.count)
        Path(folder, FILE).write_text("{}")

    @property
    def _killed(self) -> int:
        return len(list(Path(self.marks).iterdir()))


@dataclass(frozen=True)
class KilledBeside:
    """Is killed at one task, as often as said, once another helper's thread does a second task beside it."""

    at: int
    times: int
    marks: str
    """Folder for a file of each task that a helper has begun, and each time."""

    def __call__(self, task: Number, folder: str, report: Report) -> None:
        Path(self.marks, f"{task.number}-{os.getpid()}-{threading.get_ident()}").touch()
        deadline = time.monotonic() + 60
        while not is_helper() and len(self._killed) < self.times:
            assert time.monotonic() < deadline
            time.sleep(0.01)
            report(0)
        if is_helper() and task.number == self.at and len(self._killed) < self.times:
            while not self._killed and len(list(Path(self.marks).glob(f"*-{os.getpid()}-*"))) < 2:
                time.sleep(0.01)
            Path(self.marks, f"killed-{os.getpid()}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        while is_helper() and not self._killed:  # with the process
            time.sleep(0.01)
        report(task.count)
        Path(folder, FILE).write_text("{}")

    @property
    def _killed(self) -> list[Path]:
        return list(Path(self.marks).glob("killed-*"))


def is_helper() -> bool:
    """Whether this is another process than the step's own."""
    return multiprocessing.parent_process() is not None


def stage(folder: Path, fill: Fill, tasks: int, at_once: int = 1) -> Stage[Number]:
    """A stage with its cache in a folder."""
    return Stage(
        name="squares",
        unit="numbers",
        tasks=[Number(number) for number in range(tasks)],
        fill=fill,
        store=str(folder / "store"),
        weight=1.0,
        at_once=at_once,
    )


def results(made: Stage[Number]) -> list[dict]:
    """What the tasks left in the cache."""
    cache = ShardCache(made.store)
    return [json.loads(Path(f"{cache.find(task.key)}", FILE).read_text()) for task in made.tasks]


REFUSED = DataError("data/b: record 9 (counted from 0): it has no label")


def keep(fill: Callable[[Any, str, Report], None], shard: Any, store: str) -> None:
    """Does a shard, and caches the result."""
    with ShardCache(store).making(shard.key) as folder:
        fill(shard, folder, lambda more: None)
