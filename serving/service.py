"""Answers requests, whatever the API that they came through."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hubline.serving.errors import Code, RequestError
from hubline.serving.limits import Limits
from hubline.serving.metrics import Metrics
from hubline.serving.model import Model
from hubline.serving.models import Models
from hubline.serving.scheduler import Scheduler
from hubline.serving.signature import Arrays, Signature


@dataclass(frozen=True)
class Service:
    """A model with what is needed to answer requests."""

    models: Models
    scheduler: Scheduler
    metrics: Metrics
    limits: Limits
    timeout: float
    """Seconds that a request may take, unless the client gives up earlier."""
    most_requests: int
    """Requests whose bodies may be in memory at the same time."""

    def model(self, name: str, version: int | None = None, label: str = "") -> Model:
        """The version that a request names.

        Raises:
            RequestError: if it isn't served.
        """
        self.check_name(name)
        return self.models.get(version, label)

    def check_name(self, name: str) -> None:
        """Raises RequestError if the server has no model with the name."""
        if name != self.models.name:
            raise RequestError(Code.NOT_FOUND, f"there is no model '{name}', only '{self.models.name}'")

    async def run(self, signature: Signature, inputs: Arrays, timeout: float | None = None) -> Arrays:
        """Runs a request.

        Raises:
            RequestError: if it exceeds a bound, doesn't fit the signature, or fails.
        """
        signature.check(inputs)
        await asyncio.to_thread(self.limits.check, inputs)
        return await self.scheduler.run(signature, inputs, min(timeout or self.timeout, self.timeout))

    @contextmanager
    def counting(self, api: str, method: str) -> Iterator[None]:
        """Counts a request, its result and its time."""
        begin, code = time.perf_counter(), Code.OK
        try:
            yield
        except RequestError as error:
            code = error.code
            raise
        except asyncio.CancelledError:  # the client hung up
            code = Code.CANCELLED
            raise
        except BaseException:
            code = Code.INTERNAL
            raise
        finally:
            self.metrics.requests.labels(api, method, code.name).inc()
            self.metrics.seconds.labels(api, method).observe(time.perf_counter() - begin)
