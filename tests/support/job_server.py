"""Beam job servers in this process: Beam's own, and one whose jobs run until something happens to them."""

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from apache_beam.portability.api import beam_job_api_pb2 as api
from apache_beam.portability.api import beam_job_api_pb2_grpc as services

RUNNING, CANCELLED, FAILED = api.JobState.RUNNING, api.JobState.CANCELLED, api.JobState.FAILED


@contextmanager
def beams_job_server() -> Iterator[int]:
    """Beam's own job server; yields its port."""
    from apache_beam.runners.portability.local_job_service import LocalJobServicer

    server = LocalJobServicer()
    port = server.start_grpc_server()
    try:
        yield port
    finally:
        server.stop()


@dataclass
class StuckJobs(services.JobServiceServicer):
    """Takes every job, and lets it run until it is cancelled, or fails with `message`."""

    port: int = 0
    message: str = ""
    """Error with which a job fails at once."""
    silent: bool = False
    """Whether questions about a job's state stay without an answer."""
    names: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    running: threading.Event = field(default_factory=threading.Event)
    """Set as soon as a job runs."""
    ended: threading.Event = field(default_factory=threading.Event)

    def DescribePipelineOptions(self, request: Any, context: Any) -> Any:
        return api.DescribePipelineOptionsResponse()

    def Prepare(self, request: Any, context: Any) -> Any:
        self.names.append(request.pipeline_options["beam:option:job_name:v1"])
        return api.PrepareJobResponse(preparation_id="one")

    def Run(self, request: Any, context: Any) -> Any:
        self.running.set()
        return api.RunJobResponse(job_id=request.preparation_id)

    def GetState(self, request: Any, context: Any) -> Any:
        if self.silent:
            self.ended.wait()
        return api.JobStateEvent(state=CANCELLED if self.cancelled else RUNNING)

    def GetStateStream(self, request: Any, context: Any) -> Iterator[Any]:
        yield api.JobStateEvent(state=RUNNING)
        if self.message:
            yield api.JobStateEvent(state=FAILED)
            return
        self.ended.wait()
        yield api.JobStateEvent(state=CANCELLED)

    def GetMessageStream(self, request: Any, context: Any) -> Iterator[Any]:
        if self.message:
            error = api.JobMessage(importance=api.JobMessage.JOB_MESSAGE_ERROR, message_text=self.message)
            yield api.JobMessagesResponse(message_response=error)

    def Cancel(self, request: Any, context: Any) -> Any:
        self.cancelled.append(request.job_id)
        self.ended.set()
        return api.CancelJobResponse(state=CANCELLED)

    @contextmanager
    def serving(self) -> Iterator["grpc.Server"]:
        """Serves in this process; yields the server, to stop it."""
        server = grpc.server(futures.ThreadPoolExecutor(8))
        services.add_JobServiceServicer_to_server(self, server)
        self.port = server.add_insecure_port("localhost:0")
        server.start()
        try:
            yield server
        finally:
            self.ended.set()
            server.stop(None).wait()
