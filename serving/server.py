"""Serves a model over REST and gRPC until the process is asked to end."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from hubline.core import interruption
from hubline.core.errors import UserError
from hubline.serving import grpc_api, rest
from hubline.serving.limits import Limits
from hubline.serving.metrics import Metrics
from hubline.serving.models import Models
from hubline.serving.policy import VersionPolicy
from hubline.serving.scheduler import Batching, Scheduler
from hubline.serving.service import Service
from hubline.serving.versions import version_in

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What to serve, and how."""

    folder: str
    """A serving folder, or a single version."""
    name: str
    """Name of the model in requests."""
    host: str = "127.0.0.1"
    rest_port: int = 8501
    """With 0, any free port."""
    grpc_port: int = 8500
    """With 0, any free port."""
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    labels: dict[str, int] = field(default_factory=dict)
    poll_seconds: float = 2.0
    """Interval between looks for new versions."""
    threads: int = 2
    """Batches that run at the same time."""
    queue: int = 256
    """Requests that may wait."""
    timeout: float = 60.0
    """Seconds that a request may take."""
    grace: float = 30.0
    """Seconds that running requests get when the server ends."""
    batching: Batching = field(default_factory=Batching)
    limits: Limits = field(default_factory=Limits)


Started = Callable[[int, int], None]
"""Takes the ports of REST and gRPC once the server answers."""


async def serve(settings: Settings, started: Started) -> bool:
    """Serves until SIGINT or SIGTERM; then answers the requests that it has accepted, within the grace period.

    A second signal ends the process at once.

    Returns:
        Whether all are answered. Otherwise, a thread still runs a model, and Python waits for the thread at its exit.

    Raises:
        UserError: if no version can be loaded, or a port is taken.
    """
    version_in(settings.folder)  # refuses a folder without any version
    metrics = Metrics()
    models = Models(settings.name, settings.folder, settings.policy, settings.labels, metrics)
    await models.refresh()
    if not models.is_available:
        raise UserError(models.why_none())
    scheduler = Scheduler(metrics, settings.threads, settings.queue, settings.batching)
    most_requests = settings.queue + settings.threads * settings.batching.rows
    service = Service(models, scheduler, metrics, settings.limits, settings.timeout, most_requests)

    end = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, _end, end, number)
    scheduler.start()
    over_grpc = grpc_api.server(service)
    over_rest = web.AppRunner(rest.application(service), access_log=None, shutdown_timeout=settings.grace)
    try:
        grpc_port = _bound(over_grpc, settings)
        await over_grpc.start()
        await over_rest.setup()
        site = web.TCPSite(over_rest, settings.host, settings.rest_port)
        try:
            await site.start()
        except OSError as error:
            raise UserError(f"port {settings.rest_port} of {settings.host}: {error.strerror}") from error
        following = asyncio.create_task(models.follow(settings.poll_seconds))
        started(over_rest.addresses[0][1], grpc_port)
        await end.wait()
        _LOGGER.info("ending; requests that are running get %g s", settings.grace)
        following.cancel()
    finally:
        latest = time.monotonic() + settings.grace
        await asyncio.gather(over_grpc.stop(settings.grace), over_rest.cleanup())
        all_answered = await scheduler.stop(max(latest - time.monotonic(), 0))
    if not all_answered:
        _LOGGER.warning("a model still runs after %g s; its requests get no answer", settings.grace)
    return all_answered


def _end(end: asyncio.Event, number: signal.Signals) -> None:
    if end.is_set():
        os._exit(interruption.exit_code(number))
    end.set()


def _bound(server: grpc_api.grpc.aio.Server, settings: Settings) -> int:
    try:
        port = server.add_insecure_port(f"{settings.host}:{settings.grpc_port}")
    except RuntimeError as error:
        raise UserError(f"port {settings.grpc_port} of {settings.host}: {error}") from error
    if port == 0:
        raise UserError(f"port {settings.grpc_port} of {settings.host} is taken")
    return port
