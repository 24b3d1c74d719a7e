"""Runs a Beam pipeline as a job on an engine: watched while it runs, and cancelled with the step."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from hubline.components.adapters.beam import job_id
from hubline.components.engine_jobs.engine import Engine
from hubline.components.engine_jobs.failures import explained, lost
from hubline.components.engine_jobs.flink import FlinkJob
from hubline.core import interruption
from hubline.core.errors import RunError, UserError
from hubline.core.progress import note

_PAUSE_SECONDS = 0.2
"""How often the step looks whether it was asked to end, and whether the job has ended."""
LOOK_SECONDS = 5.0
"""How often the engine is asked about the job."""
TELL_SECONDS = 30.0
"""How often the user is told about a job at most."""
SILENCE_SECONDS = 60.0
"""How long a job server may be silent while a job runs."""
_CANCEL_SECONDS = 20.0
"""How long cancelling a job may take."""


_NO_PIP = "--experiments=disable_logging_submission_environment"
"""Keeps Beam from calling `pip freeze` for each job, which takes seconds, and which a set-up by uv doesn't have."""


class TookTooLongError(Exception):
    """A job with a time limit did not end in time, and was cancelled."""


class JobPipeline(beam.Pipeline):
    """A Beam pipeline that runs as a job on an engine until the end of the `with` block."""

    def __init__(
        self, engine: Engine, name: str, limit: float | None = None, look: Callable[[], object] = lambda: None
    ) -> None:
        """A pipeline to fill.

        Args:
            engine: Where to run.
            name: What the job does, for its name on the engine.
            limit: Seconds that the job may take once it is submitted, without the time in which Flink has no slots.
            look: Called every few seconds while the job runs.
        """
        self._engine, self._limit, self._look = engine, limit, look
        self._name = engine.new_job(name)
        super().__init__(argv=[*engine.arguments, f"--job_name={self._name}", _NO_PIP])

    def run(self, test_runner_api: bool | str = "AUTO") -> Any:
        """Submits the job, waits for its end, and cancels it if anything keeps the step from waiting.

        Raises:
            RunError: if the job failed; says what happened.
            Interrupted: if the process was asked to end.
            TookTooLongError: if the time limit has passed.
        """
        job = _Job(self._engine, self._name, self._limit, self._look)
        return job.run(lambda: super(JobPipeline, self).run(test_runner_api))


class _Job:
    def __init__(self, engine: Engine, name: str, limit: float | None, look: Callable[[], object]) -> None:
        self._engine, self._name, self._limit, self._look = engine, name, limit, look
        self._result: Any = None
        self._began = self._looked = self._told = self._heard = time.monotonic()
        self._waited = 0.0
        """Seconds in which Flink had no slots."""
        self._last = ""

    def run(self, submit: Callable[[], Any]) -> Any:
        try:
            self._result = submit()
            self._began = self._looked = self._heard = time.monotonic()
            if not self._limit:
                note(f"the job {self._name} runs on {self._engine.address}")
            waiting = _Waiting(self._result)
            while not waiting.ended.wait(_PAUSE_SECONDS):
                interruption.check()
                if time.monotonic() - self._looked > LOOK_SECONDS:
                    self._watch()
            if waiting.error:
                raise waiting.error
        except Exception as error:
            failure = self._failure()
            self._cancel()
            known = isinstance(error, interruption.Interrupted | TookTooLongError | RunError)
            if known or (self._result is None and not isinstance(error, grpc.RpcError)):
                raise
            raise explained(self._engine, self._name, error, failure) from error
        except BaseException:
            self._cancel()
            raise
        return self._result

    def _watch(self) -> None:
        now = time.monotonic()
        since, self._looked = now - self._looked, now
        with suppress(OSError, UserError):  # of a store that doesn't answer for a moment
            self._look()
        self._hear(now)
        flink = self._engine.flink
        job = flink.job(self._name) if flink else None
        text = ""
        if flink and job:
            text = f"{job.text} ({flink.page(job)})"
            slots = None if job.has_started or job.has_ended else flink.slots()
            if slots and not slots.free:
                self._waited += since
                text = f"no task runs yet: {slots.text} ({flink.url})"
        if text and text != self._last and now - self._told > TELL_SECONDS:
            self._last, self._told = text, now
            note(f"the job {self._name}: {text}")
        if self._limit and now - self._began - self._waited > self._limit:
            raise TookTooLongError

    def _hear(self, now: float) -> None:
        """Asks the job server whether it is there: Beam itself waits for its answers for days."""
        if not self._engine.endpoint:
            return
        try:
            with grpc.insecure_channel(self._engine.endpoint) as channel:
                beam_job_api_pb2_grpc.JobServiceStub(channel).GetState(
                    beam_job_api_pb2.GetJobStateRequest(job_id=job_id(self._result)), timeout=LOOK_SECONDS
                )
            self._heard = now
        except grpc.RpcError as error:
            if now - self._heard > SILENCE_SECONDS:
                raise lost(self._engine, self._name, f"silent for {now - self._heard:.0f} s") from error

    def _failure(self) -> str:
        """What the engine says of the end of the job."""
        flink = self._engine.flink
        job = flink.job(self._name) if flink else None
        return flink.failure(job) if flink and job else ""

    def _cancel(self) -> None:
        """Cancels the job wherever it may run, in bounded time, and says so if it may go on."""
        until = time.monotonic() + _CANCEL_SECONDS
        if self._result is not None:
            _bounded(self._result.cancel, _CANCEL_SECONDS / 2)
        flink = self._engine.flink
        job: FlinkJob | None = None
        while flink and (job := flink.job(self._name)) and not job.has_ended and time.monotonic() < until:
            flink.cancel(job)
            time.sleep(_PAUSE_SECONDS)
        if flink and job and not job.has_ended:
            note(f"the job {self._name} could not be cancelled: {flink.page(job)}")


class _Waiting(threading.Thread):
    """Waits for the end of a job in a thread of its own, which may be left alone."""

    def __init__(self, result: Any) -> None:
        super().__init__(daemon=True)
        self._result = result
        self.ended = threading.Event()
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._result.wait_until_finish()
        except BaseException as error:
            self.error = error
        finally:
            self.ended.set()


def _bounded(call: Callable[[], object], seconds: float) -> None:
    """Calls a function that may hang or fail, and waits so long for it at most."""

    def run() -> None:
        with suppress(Exception):  # the job server may be gone, or the job have ended
            call()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
