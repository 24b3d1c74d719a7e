"""Runs requests on a model: a bounded queue, a few threads, and batches of requests if they are wanted."""

import asyncio
import time
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from hubline.serving.errors import Code, RequestError, of_model
from hubline.serving.metrics import Metrics
from hubline.serving.signature import Arrays, Signature


@dataclass(frozen=True)
class Batching:
    """How requests are joined. Joining is for models whose rows don't depend on each other."""

    rows: int = 1
    """Most examples in a batch of several requests. With 1, each request runs alone."""
    delay: float = 0.005
    """Seconds for which an incomplete batch waits for more requests."""


@dataclass(eq=False)
class _Request:
    inputs: Arrays
    rows: int
    joins: bool
    """Whether it may run together with others."""
    deadline: float
    answer: asyncio.Future[Arrays]


@dataclass(eq=False)
class _Batch:
    """Requests of one signature that run together."""

    signature: Signature
    created: float
    requests: list[_Request] = field(default_factory=list)
    rows: int = 0
    is_full: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, request: _Request) -> None:
        self.requests.append(request)
        self.rows += request.rows


class Scheduler:
    """Takes requests until the queue is full, and runs them in the order of their arrival."""

    def __init__(self, metrics: Metrics, threads: int, queue: int, batching: Batching) -> None:
        """Starts nothing before `start`.

        Args:
            metrics: Counts batches and the requests in the queue.
            threads: Number of batches that run at the same time.
            queue: Number of requests that may wait.
            batching: How requests are joined.
        """
        self._metrics, self._threads, self._most, self._batching = metrics, threads, queue, batching
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="model")
        self._batches: asyncio.Queue[_Batch] = asyncio.Queue()
        self._open: dict[Hashable, _Batch] = {}
        self._waiting = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts to run requests on the current event loop."""
        self._tasks = [asyncio.create_task(self._work()) for _ in range(self._threads)]

    async def stop(self, seconds: float) -> bool:
        """Waits until all accepted requests are answered, at most for some seconds; returns whether they are."""
        answering = asyncio.create_task(self._batches.join())
        await asyncio.wait({answering}, timeout=seconds)
        all_answered = answering.done()
        for task in (answering, *self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.shutdown(wait=all_answered, cancel_futures=True)
        return all_answered

    async def run(self, signature: Signature, inputs: Arrays, timeout: float) -> Arrays:
        """Runs a request that the signature has accepted.

        Args:
            signature: What to call.
            inputs: The inputs.
            timeout: Seconds after which the client no longer waits.

        Raises:
            RequestError: if the queue is full, the time is over, or the model fails.
        """
        if self._waiting >= self._most:
            raise RequestError(Code.RESOURCE_EXHAUSTED, f"{self._most} requests are waiting already; try again later")
        counts = {array.shape[0] for array in inputs.values()} if signature.is_batched else set()
        request = _Request(
            inputs=inputs,
            rows=max(counts, default=1),
            joins=len(counts) == 1,  # otherwise the rows of one request would be read as those of the next
            deadline=time.monotonic() + timeout,
            answer=asyncio.get_running_loop().create_future(),
        )
        self._enter(signature, request)
        self._waiting += 1
        self._metrics.waiting.set(self._waiting)
        try:
            return await asyncio.wait_for(request.answer, timeout)
        except asyncio.TimeoutError:
            raise RequestError(Code.DEADLINE_EXCEEDED, f"no answer within {timeout:g} s") from None

    def _enter(self, signature: Signature, request: _Request) -> None:
        """Adds a request to the batch that is being filled, or to a new one."""
        if request.rows >= self._batching.rows or not request.joins:
            batch = _Batch(signature, time.monotonic())
            batch.add(request)
            batch.is_full.set()
            self._batches.put_nowait(batch)
            return
        shapes = ((name, array.dtype.str, array.shape[1:]) for name, array in sorted(request.inputs.items()))
        kind = (signature, *shapes)
        filling = self._open.get(kind)
        if filling is not None and filling.rows + request.rows > self._batching.rows:
            filling.is_full.set()
            filling = None
        batch = filling or _Batch(signature, time.monotonic())
        if filling is None:
            self._open[kind] = batch
            self._batches.put_nowait(batch)
        batch.add(request)
        if batch.rows == self._batching.rows:
            batch.is_full.set()
            del self._open[kind]

    async def _work(self) -> None:
        while True:
            batch = await self._batches.get()
            try:
                await self._fill(batch)
                await self._answer(batch)
            finally:
                self._batches.task_done()

    async def _fill(self, batch: _Batch) -> None:
        """Waits for a batch to be full, or for its time to be over, and closes it."""
        left = batch.created + self._batching.delay - time.monotonic()
        if not batch.is_full.is_set() and left > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(batch.is_full.wait(), left)
        for kind, each in list(self._open.items()):
            if each is batch:
                del self._open[kind]

    async def _answer(self, batch: _Batch) -> None:
        self._waiting -= len(batch.requests)
        self._metrics.waiting.set(self._waiting)
        now = time.monotonic()
        left = [each for each in batch.requests if not each.answer.done() and each.deadline > now]
        if not left:
            return
        self._metrics.batch_rows.observe(sum(each.rows for each in left))
        await self._run_together(batch.signature, left)

    async def _run_together(self, signature: Signature, requests: list[_Request]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._pool, _run, signature, requests)
        except RequestError as error:
            if len(requests) > 1:
                # One bad example must not fail the requests that came with it.
                for request in requests:
                    await self._run_together(signature, [request])
            elif not requests[0].answer.done():
                requests[0].answer.set_exception(error)
            return
        for request, answer in zip(requests, answers, strict=True):
            if not request.answer.done():
                request.answer.set_result(answer)


def _run(signature: Signature, requests: list[_Request]) -> list[Arrays]:
    """Runs requests together; returns the outputs of each.

    Raises:
        RequestError: if the model fails, or doesn't give one row for each example of several requests.
    """
    try:
        return _outputs(signature, requests)
    except RequestError:
        raise
    except Exception as error:  # for example, too little memory: the server goes on with the next request
        raise of_model(error) from error


def _outputs(signature: Signature, requests: list[_Request]) -> list[Arrays]:
    if len(requests) == 1:
        return [signature.run(requests[0].inputs)]
    names = requests[0].inputs
    outputs = signature.run({name: np.concatenate([each.inputs[name] for each in requests]) for name in names})
    rows = sum(each.rows for each in requests)
    for name, output in outputs.items():
        if not output.ndim or output.shape[0] != rows:
            raise RequestError(
                Code.FAILED_PRECONDITION,
                f"output '{name}' has no row for each example, so requests to '{signature.name}' can't be joined; "
                "start the server without batches",
            )
    bounds = np.cumsum([each.rows for each in requests])[:-1]
    parts = {name: np.split(output, bounds) for name, output in outputs.items()}
    return [{name: part[number] for name, part in parts.items()} for number in range(len(requests))]
