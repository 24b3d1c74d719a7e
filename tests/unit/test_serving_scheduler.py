"""How a server runs requests: one by one or joined, within its queue and their time."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubline.serving.errors import Code, RequestError
from hubline.serving.metrics import Metrics
from hubline.serving.scheduler import Batching, Scheduler
from hubline.serving.signature import PREDICT, Signature


class Model:
    """Doubles numbers; refuses negative ones, and waits for `may_go`."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.running = 0

    def call(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        self.running += 1
        self.may_go.wait(10)
        self.batches.append(x.numpy().tolist())
        if tf.reduce_any(x < 0):
            raise ValueError("negative")
        return {"y": 2 * x}

    def total(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.reduce_sum(x)}

    def signature(self, call: Callable | None = None) -> Signature:
        return Signature("one", PREDICT, {"x": tf.TensorSpec([None], tf.int32, "x")}, ("y",), call or self.call)


def run(scheduler: Scheduler, work: Coroutine[Any, Any, Any]) -> Any:
    async def whole() -> Any:
        scheduler.start()
        try:
            return await work
        finally:
            assert await scheduler.stop(10)

    return asyncio.run(whole())


async def ask(scheduler: Scheduler, signature: Signature, *numbers: int, timeout: float = 10) -> Any:
    try:
        return (await scheduler.run(signature, {"x": np.array(numbers, np.int32)}, timeout))["y"].tolist()
    except RequestError as error:
        return error.code


def scheduler(threads: int = 1, queue: int = 10, rows: int = 1, delay: float = 5.0) -> Scheduler:
    return Scheduler(Metrics(), threads, queue, Batching(rows, delay))


def test_requests_that_fill_a_batch_run_together_and_each_gets_its_own_rows() -> None:
    model, joined = Model(), scheduler(rows=4)
    signature = model.signature()

    async def work() -> Any:
        return await asyncio.gather(ask(joined, signature, 1), ask(joined, signature, 2, 3), ask(joined, signature, 4))

    assert run(joined, work()) == [[2], [4, 6], [8]]
    assert model.batches == [[1, 2, 3, 4]]


def test_a_request_that_does_not_fit_begins_the_next_batch() -> None:
    model, joined = Model(), scheduler(rows=3, delay=0.05)
    signature = model.signature()

    async def work() -> Any:
        asked = [ask(joined, signature, 1, 2), ask(joined, signature, 3, 4), ask(joined, signature, 5)]
        return await asyncio.gather(*asked, ask(joined, signature, 6, 7, 8, 9))

    assert run(joined, work()) == [[2, 4], [6, 8], [10], [12, 14, 16, 18]]
    assert sorted(model.batches) == [[1, 2], [3, 4, 5], [6, 7, 8, 9]]


def test_a_bad_request_fails_alone() -> None:
    model, joined = Model(), scheduler(rows=3)
    signature = model.signature()

    async def work() -> Any:
        return await asyncio.gather(*(ask(joined, signature, number) for number in (1, -1, 2)))

    assert run(joined, work()) == [[2], Code.INVALID_ARGUMENT, [4]]


def test_outputs_without_a_row_for_each_example_are_not_joined() -> None:
    model, joined = Model(), scheduler(rows=2)
    signature = model.signature(model.total)

    async def work() -> Any:
        return await asyncio.gather(ask(joined, signature, 1), ask(joined, signature, 2))

    assert run(joined, work()) == [1, 2]


def test_requests_whose_inputs_have_different_rows_are_not_joined() -> None:
    joined, lengths = scheduler(rows=100, delay=0.05), []

    def call(x: tf.Tensor, y: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths.append((len(x), len(y)))
        return {"z": x + y[: len(x)] if len(x) < len(y) else x[: len(y)] + y}

    specs = {name: tf.TensorSpec([None], tf.int32, name) for name in "xy"}
    signature = Signature("two", PREDICT, specs, ("z",), call)

    async def work() -> Any:
        sizes = [(3, 5), (2, 2), (5, 3), (1, 1)]
        given = [{"x": np.full(x, 10, np.int32), "y": np.arange(y, dtype=np.int32)} for x, y in sizes]
        return await asyncio.gather(*(joined.run(signature, each, 10) for each in given))

    found = [each["z"].tolist() for each in run(joined, work())]
    assert found == [[10, 11, 12], [10, 11], [10, 11, 12], [10]]
    assert sorted(lengths) == [(3, 3), (3, 5), (5, 3)]


@pytest.mark.parametrize("rows", [1, 2])
def test_the_server_goes_on_after_an_exception_of_any_kind(rows: int, caplog: pytest.LogCaptureFixture) -> None:
    single = scheduler(rows=rows, delay=0.01)

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        if tf.reduce_any(x < 0):
            raise MemoryError("no room")
        return {"y": x}

    signature = Model().signature(call)
    no_tensor = {"x": np.array([object()])}

    async def work() -> Any:
        found = [await ask(single, signature, number) for number in (-1, -2)]
        with pytest.raises(RequestError) as refused:
            await single.run(signature, no_tensor, 10)
        joined = await asyncio.gather(ask(single, signature, -1), ask(single, signature, 2))
        return [*found, refused.value.code], joined, await ask(single, signature, 3)

    assert run(single, work()) == ([Code.INTERNAL] * 3, [Code.INTERNAL, [2]], [3])
    assert "no room" in caplog.text, "the log has what the client is not told"


def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    model, bounded = Model(), scheduler(queue=2)
    model.may_go.clear()
    signature = model.signature()

    async def work() -> Any:
        running = asyncio.create_task(ask(bounded, signature, 1))
        while not model.running:
            await asyncio.sleep(0.001)
        waiting = [asyncio.create_task(ask(bounded, signature, number)) for number in (2, 3)]
        await asyncio.sleep(0)
        refused = await ask(bounded, signature, 4)
        model.may_go.set()
        answered = await asyncio.gather(running, *waiting)
        return refused, answered, await ask(bounded, signature, 5)

    assert run(bounded, work()) == (Code.RESOURCE_EXHAUSTED, [[2], [4], [6]], [10])


def test_a_request_whose_time_is_over_never_runs() -> None:
    model, bounded = Model(), scheduler()
    model.may_go.clear()
    signature = model.signature()

    async def work() -> Any:
        running = asyncio.create_task(ask(bounded, signature, 1))
        while not model.running:
            await asyncio.sleep(0.001)
        late = await ask(bounded, signature, 2, timeout=0.01)
        model.may_go.set()
        return late, await running

    assert run(bounded, work()) == (Code.DEADLINE_EXCEEDED, [2])
    assert model.batches == [[1]]


def test_stopping_answers_what_was_accepted() -> None:
    model, ending = Model(), scheduler()
    model.may_go.clear()
    signature = model.signature()

    async def work() -> Any:
        ending.start()
        asked = [asyncio.create_task(ask(ending, signature, number)) for number in (1, 2, 3)]
        await asyncio.sleep(0.01)
        stopping = asyncio.create_task(ending.stop(10))
        await asyncio.sleep(0.01)
        model.may_go.set()
        await stopping
        return await asyncio.gather(*asked)

    assert asyncio.run(work()) == [[2], [4], [6]]


def test_stopping_waits_no_longer_than_it_may() -> None:
    model, ending = Model(), scheduler()
    model.may_go.clear()
    signature = model.signature()

    async def work() -> Any:
        ending.start()
        asked = [asyncio.create_task(ask(ending, signature, number)) for number in (1, 2)]
        while not model.running:
            await asyncio.sleep(0.001)
        all_answered = await ending.stop(0.05)
        model.may_go.set()
        return all_answered, [each.done() for each in asked]

    assert asyncio.run(work()) == (False, [False, False])
    assert model.running == 1, "the request that was waiting never runs"


@pytest.mark.parametrize("threads", [1, 3])
def test_as_many_requests_run_at_once_as_there_are_threads(threads: int) -> None:
    model, several = Model(), scheduler(threads=threads)
    barrier = threading.Barrier(threads)

    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        barrier.wait(10)  # breaks unless all threads come
        return {"y": x}

    signature = model.signature(call)

    async def work() -> Any:
        return await asyncio.gather(*(ask(several, signature, number) for number in range(threads)))

    assert run(several, work()) == [[number] for number in range(threads)]
