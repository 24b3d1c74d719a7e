"""Runs trials one after another in this process, or at once in processes of their own."""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import tensorflow_transform as tft

from hubline.core import interruption, progress
from hubline.core.errors import DamageError, DataError, RunError, UserError
from hubline.trainer import devices
from hubline.trainer.config.tuning import Tune
from hubline.trainer.job import Job
from hubline.trainer.memo import Memo, NoMemo
from hubline.trainer.tuning.results import Trial
from hubline.trainer.tuning.search import Run
from hubline.trainer.tuning.trial import Task, run_trial

_SECONDS = 0.5  # between two looks whether the process was asked to end


@contextmanager
def running(job: Job, tune: Tune) -> Iterator[Run]:
    """Yields what runs trials: this process, or with `parallel` above 1 that many others.

    Args:
        job: The training that the trials change.
        tune: The search.
    """
    if tune.parallel == 1:
        yield lambda tasks: _in_turn(job, tasks, tune.trials)
        return
    workers: list[_Worker] = []
    try:
        yield lambda tasks: _at_once(job, workers, tasks)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.join()


def _in_turn(job: Job, tasks: Sequence[Task], total: int) -> Iterator[Trial]:
    for task in tasks:
        with progress.within(task.number - 1, total, "trials"):
            trial = run_trial(job, task)
        yield trial


@dataclass(frozen=True)
class _Worker:
    process: BaseProcess
    connection: Connection

    @classmethod
    def start(cls, job: Job, number: int) -> "_Worker":
        """Starts the process of this number, with a copy of the job. A fork of this process would not survive
        TensorFlow's threads."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        ours.send(_sent(job, number))
        return cls(process, ours)


def _sent(job: Job, number: int) -> Job:
    """The job on the devices of a process, and without what this process has loaded, which can't be sent."""
    training = job.training.model_copy(update={"devices": devices.of_process(job.training.devices, number)})
    folder, _, _ = job.transform.transform_savedmodel_dir.rpartition("/")
    return replace(job, training=training, memo=NoMemo(), transform=tft.TFTransformOutput(folder))


def _at_once(job: Job, workers: list[_Worker], tasks: Sequence[Task]) -> Iterator[Trial]:
    """Runs one trial in each worker.

    Raises:
        RunError: if a worker was killed.
        Exception: the exception of a trial.
    """
    while len(workers) < len(tasks):
        workers.append(_Worker.start(job, len(workers)))
    busy = {worker.connection: worker for worker in workers[: len(tasks)]}
    for worker, task in zip(busy.values(), tasks, strict=True):
        worker.connection.send(task)
    while busy:
        for connection in wait(list(busy), timeout=_SECONDS):
            assert isinstance(connection, Connection)
            worker = busy.pop(connection)
            yield _answer(worker)
        interruption.check()


def _answer(worker: _Worker) -> Trial:
    try:
        answer = worker.connection.recv()
    except EOFError:
        worker.process.join()
        raise RunError(
            f"a process of tune.parallel ended with exit code {worker.process.exitcode}, probably for lack of memory; "
            "lower tune.parallel"
        ) from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _work(connection: Connection) -> None:
    """Runs trials until the process is terminated."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one ends the others
    job: Job = connection.recv()
    job = replace(job, memo=Memo())
    while True:
        try:
            task = connection.recv()
        except EOFError:  # the first process is gone
            return
        try:
            answer: Trial | Exception = run_trial(job, task)
        except Exception as error:
            answer = _sendable(error)
        connection.send(answer)


def _sendable(error: Exception) -> Exception:
    """The error as one of our own classes, which any process can read, with the same text."""
    if isinstance(error, UserError):
        kind = next(kind for kind in (DamageError, DataError, RunError, UserError) if isinstance(error, kind))
        return kind(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}")
