"""Tasks on a Beam engine: Create | Reshuffle | ParDo."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from hubline.components.engine_jobs.pipeline import pipeline_on
from hubline.components.engine_jobs.probe import Places
from hubline.components.spread.failure import Failure
from hubline.components.spread.stage import Report, Stage, Task
from hubline.core import interruption, storage
from hubline.core.shard_cache import ShardCache

_LOOK_UPS_AT_ONCE = 16
"""Entries of the cache that are looked up at the same time, because a bucket takes a while to answer."""
LOOK_SECONDS = 1.0
"""How long entries are looked up, every few seconds."""

NAMESPACE = "hubline"
"""Of the Beam counter that counts what is done, named after the unit of the stage."""


def run(stage: Stage[Task], tasks: Sequence[Task], arguments: Sequence[str], failures: str, report: Report) -> None:
    """Does tasks on an engine.

    Args:
        stage: Describes the tasks.
        tasks: The tasks.
        arguments: Beam arguments.
        failures: Folder in which workers leave their errors: runners wrap exceptions, and some pass on nothing but a
            text of their own.
        report: The progress.

    Raises:
        UserError: the error of a task.
        RunError: if the engine or its workers can't do the tasks.
    """
    places = Places(read=tuple(task.name for task in tasks), written=(stage.store, failures))
    try:
        with pipeline_on(arguments, stage.name, places, Finished(stage, tasks, report)) as pipeline:
            (
                pipeline
                | "Shards" >> beam.Create(list(tasks))
                | "Spread" >> beam.Reshuffle()
                | "Some at once" >> beam.BatchElements(stage.at_once, stage.at_once)
                | "Do" >> beam.ParDo(_Do(stage, failures))
            )
    except interruption.Interrupted:
        raise
    except Exception as error:
        failed = set(storage.names(failures))
        # Some engines try again, with success.
        for task in replace(stage, tasks=[task for task in tasks if task.key in failed]).missing():
            content = storage.read_bytes(f"{failures}/{task.key}")
            raise Failure.model_validate_json(content).error() from error
        raise


class Finished:
    """Finds out which tasks are done by looking for their results, as many as a second allows."""

    def __init__(self, stage: Stage[Task], tasks: Sequence[Task], report: Report) -> None:
        self._cache, self._waiting, self._report = ShardCache(stage.store), deque(tasks), report

    def __call__(self) -> None:
        until, unseen = time.monotonic() + LOOK_SECONDS, len(self._waiting)
        with ThreadPoolExecutor(_LOOK_UPS_AT_ONCE) as pool:
            while unseen > 0 and time.monotonic() < until:
                some = list(islice(self._waiting, min(unseen, _LOOK_UPS_AT_ONCE)))
                found = list(pool.map(lambda task: self._cache.find(task.key), some))
                unseen -= len(some)
                for entry in found:
                    task = self._waiting.popleft()
                    if entry:
                        self._report(task.count)
                    else:
                        self._waiting.append(task)


class _Do(beam.DoFn):
    """Does some tasks at once."""

    def __init__(self, stage: Stage[Any], failures: str) -> None:
        self._stage, self._failures = replace(stage, tasks=()), failures
        self._shared = Shared()
        self._done = Metrics.counter(NAMESPACE, stage.unit)

    def process(self, tasks: list[Any]) -> Iterator[str]:
        one = self._shared.acquire(lambda: _OfProcess(self._stage))
        with one.lock, ThreadPoolExecutor(len(tasks)) as pool:
            list(pool.map(lambda task: self._do(one.stage, task), tasks))
        for task in tasks:
            self._done.inc(task.count)
            yield task.key

    def _do(self, stage: Stage[Any], task: Any) -> None:
        try:
            stage.do(task, report=lambda more: None)
        except Exception as error:
            storage.write_bytes(f"{self._failures}/{task.key}", Failure.of(error).to_property().encode())
            raise


class _OfProcess:
    """The stage with the models that a process has opened. A runner may have several threads in a process."""

    def __init__(self, stage: Stage[Any]) -> None:
        self.stage, self.lock = stage, threading.Lock()
