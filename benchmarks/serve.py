"""`hubline serve` under load from another process: throughput and latency, a new version during load, overload and the
time after it, and memory over a soak of ten minutes.

The model multiplies 64 numbers of each row with a matrix; one output is the number of its version. Every answer is
compared. Throughput is that of 16 clients that each wait for their answer; latency is that at 100 requests a second,
which arrive whether earlier ones were answered or not.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Bench, Failed, Sample, best, fresh
from benchmarks.results import Row, at_most

_CLIENTS = 16
_RATE = 100.0
"""Requests a second, for latencies."""
_SLOW_SECONDS = 0.05
"""Time of a request in overload."""
_COLUMNS = 64


def measure(bench: Bench) -> Iterator[Row]:
    """Throughput and latency, swap, overload, soak."""
    folder = str(fresh("serve"))
    bench.prepare("benchmarks.serve:write_models", folder=folder)
    seconds = bench.records(30)
    for rows in (1, 32):
        what = f"{rows} row{'s' if rows > 1 else ''} a request"
        taken = [
            bench.run(what, "benchmarks.serve:steady", folder=folder, rows=rows, seconds=seconds)
            for _ in range(bench.rounds)
        ]
        throughput, alone = (best(taken, _figure(name), most=True) for name in ("all", "alone"))
        yield Row(f"throughput, {what}", throughput, "one client", alone, "requests/s")
        p50, p99 = (best(taken, _figure(name)) for name in ("p50", "p99"))
        yield Row(f"p99, {what}", p99, "p50", p50, "ms")

    swap = bench.run("a new version", "benchmarks.serve:swap", folder=folder, seconds=seconds).figures
    yield Row("lost or wrong in a change of version", swap["lost"], "requests", swap["requests"], "", at_most(0.0))
    yield Row("p99 in a change of version", swap["p99"], "before", swap["p99_before"], "ms")

    overload = bench.run("overload", "benchmarks.serve:overload", folder=folder, seconds=seconds).figures
    yield Row("refused with 429 in overload", overload["refused"], "requests", overload["requests"], "")
    yield Row("lost or wrong in overload", overload["lost"], "requests", overload["requests"], "", at_most(0.0))
    yield Row("p99 after the overload", overload["p99_after"], "before", overload["p99_before"], "ms")

    soak = bench.run("soak", "benchmarks.serve:soak", folder=folder, seconds=bench.records(600)).figures
    yield Row("memory after the soak", soak["after"], "after a tenth of it", soak["before"], "MB", at_most(1.05))
    yield Row("lost or wrong in the soak", soak["lost"], "requests", soak["requests"], "", at_most(0.0))


def _figure(name: str) -> Callable[[Sample], float]:
    return lambda sample: sample.figures[name]


def write_models(folder: str) -> dict:
    """Writes the model as versions 1 and 2: `x`, float32 [batch, 64], to `y`, float32 [batch], and `version`, int32
    [batch]. The signature `slow` also waits."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self, version: int) -> None:
            super().__init__()
            self.version = version
            self.matrix = tf.Variable(tf.ones([_COLUMNS, 256]) / 256)

        @tf.function(input_signature=[tf.TensorSpec([None, _COLUMNS], tf.float32, "x")])
        def serving_default(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": tf.reduce_sum(x @ self.matrix, axis=1), "version": tf.fill(tf.shape(x)[:1], self.version)}

        @tf.function(input_signature=[tf.TensorSpec([None, _COLUMNS], tf.float32, "x")])
        def slow(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            begin = tf.timestamp()
            waited = tf.while_loop(
                lambda now: now < begin + _SLOW_SECONDS,
                lambda now: tf.stack([tf.timestamp(), tf.cast(tf.reduce_sum(tf.ones([64, 64])), tf.float64)])[0],
                [begin],
            )
            with tf.control_dependencies(waited):
                return self.serving_default(x)

    for version in (1, 2):
        model = Model(version)
        signatures = {"serving_default": model.serving_default, "slow": model.slow}
        tf.saved_model.save(model, f"{folder}/made/{version}", signatures=signatures)
    return {}


@dataclass
class Load:
    """Requests and what became of them."""

    url: str
    rows: int = 1
    signature: str = "serving_default"
    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    versions: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    sent: int = 0

    @property
    def lost(self) -> int:
        """Requests without the right answer, other than those that were refused for overload."""
        return self.sent - self.statuses[200] - self.statuses[429] - self.statuses[503] + self.wrong

    def percentile(self, percent: float) -> float:
        return float(np.percentile(self.milliseconds, percent))

    async def ask(self, session: Any) -> None:
        """Sends a request, and compares its answer."""
        self.sent += 1
        values = np.random.default_rng(self.sent).integers(0, 100, [self.rows, _COLUMNS])
        body = json.dumps({"signature_name": self.signature, "inputs": {"x": values.tolist()}})
        begin = time.perf_counter()
        try:
            async with session.post(f"{self.url}:predict", data=body) as response:
                answer = await response.json()
        except Exception as error:  # counted as lost
            print(f"{type(error).__name__}: {error}", flush=True)
            return
        self.statuses[response.status] += 1
        if response.status == 200:
            self.milliseconds.append(1000 * (time.perf_counter() - begin))
            outputs = answer["outputs"]
            self.wrong += not np.allclose(outputs["y"], values.sum(axis=1))
            self.versions.update(set(outputs["version"]))

    async def clients(self, session: Any, count: int, seconds: float) -> float:
        """Clients that each wait for their answer; returns the answers a second."""
        end, before, begin = time.monotonic() + seconds, self.statuses[200], time.monotonic()

        async def client() -> None:
            while time.monotonic() < end:
                await self.ask(session)

        await asyncio.gather(*(client() for _ in range(count)))
        return (self.statuses[200] - before) / (time.monotonic() - begin)

    async def at_a_rate(self, session: Any, rate: float, seconds: float) -> None:
        """Requests at regular times, whether earlier ones were answered or not."""
        begin, tasks = time.monotonic(), []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(begin + number / rate - time.monotonic(), 0))
            tasks.append(asyncio.create_task(self.ask(session)))
        await asyncio.gather(*tasks)


def steady(folder: str, rows: int, seconds: float) -> dict:
    """Throughput of one and of several clients, and latencies at a rate."""

    async def measured(url: str, session: Any, _: int) -> dict[str, float]:
        await Load(url, rows).clients(session, 2, 2)  # warms up
        alone = await Load(url, rows).clients(session, 1, seconds / 3)
        many = await Load(url, rows).clients(session, _CLIENTS, seconds / 3)
        load = Load(url, rows)
        await load.at_a_rate(session, _RATE, seconds)
        _check(load)
        return {"alone": alone, "all": many, "p50": load.percentile(50), "p99": load.percentile(99)}

    return _served(folder, measured)


def swap(folder: str, seconds: float) -> dict:
    """A push of version 2 during the load."""
    from hubline.serving.push import push

    async def measured(url: str, session: Any, _: int) -> dict[str, float]:
        await Load(url).clients(session, 2, 2)
        before, load = Load(url), Load(url)
        await before.at_a_rate(session, _RATE, seconds / 2)
        requests = asyncio.create_task(load.at_a_rate(session, _RATE, seconds))
        await asyncio.sleep(seconds / 4)
        await asyncio.to_thread(push, f"{folder}/made/2", f"{folder}/serving")
        await requests
        if set(load.versions) != {1, 2}:
            raise Failed(f"answers came from versions {dict(load.versions)}")
        return {
            "requests": load.sent,
            "lost": load.lost + load.statuses[429] + load.statuses[503],
            "p99": load.percentile(99),
            "p99_before": before.percentile(99),
        }

    return _served(folder, measured)


def overload(folder: str, seconds: float) -> dict:
    """Three times the requests that one thread can answer, with a queue of 8; then few again."""

    async def measured(url: str, session: Any, _: int) -> dict[str, float]:
        await Load(url, signature="slow").clients(session, 1, 2)
        before, load, after = (Load(url, signature="slow") for _ in range(3))
        rate = 1 / _SLOW_SECONDS
        await before.at_a_rate(session, rate / 4, seconds / 3)
        await load.at_a_rate(session, 3 * rate, seconds)
        await after.at_a_rate(session, rate / 4, seconds / 3)
        _check(before)
        _check(after)
        if not load.statuses[200]:
            raise Failed("no request was answered in overload")
        return {
            "requests": load.sent,
            "refused": load.statuses[429] + load.statuses[503],
            "lost": load.lost,
            "p99_before": before.percentile(99),
            "p99_after": after.percentile(99),
        }

    return _served(folder, measured, "--queue", "8", "--threads", "1")


def soak(folder: str, seconds: float) -> dict:
    """Memory of the server after a tenth of a long load, and after all of it."""

    async def measured(url: str, session: Any, process: int) -> dict[str, float]:
        load, found = Load(url), []
        for share in (0.1, 0.9):
            await load.at_a_rate(session, _RATE / 4, share * seconds)
            found.append(_megabytes(process))
        return {"before": found[0], "after": found[1], "requests": load.sent, "lost": load.lost}

    return _served(folder, measured)


def _check(load: Load) -> None:
    if load.lost or load.statuses[200] != load.sent:
        raise Failed(f"of {load.sent} requests: {dict(load.statuses)}, {load.wrong} wrong")


def _served(folder: str, measured: Callable[[str, Any, int], Awaitable[dict[str, float]]], *options: str) -> dict:
    """Figures that are measured while version 1 is served."""
    import aiohttp

    from hubline.core import storage
    from hubline.serving.push import push

    storage.remove_tree(f"{folder}/serving")
    push(f"{folder}/made/1", f"{folder}/serving")

    async def run() -> dict[str, float]:
        with _server(f"{folder}/serving", *options) as (url, process):
            connector = aiohttp.TCPConnector(limit=0)
            async with aiohttp.ClientSession(connector=connector) as session:
                return await measured(url, session, process)

    return {"figures": asyncio.run(run())}


@contextmanager
def _server(folder: str, *options: str) -> Iterator[tuple[str, int]]:
    """The URL of the model and the process of a server."""
    command = [sys.executable, "-m", "hubline.pipeline.cli", "serve", folder, "--name", "model", "--json"]
    ports = ["--rest-port", "0", "--grpc-port", "0", "--poll-seconds", "0.5"]
    with subprocess.Popen([*command, *ports, *options], stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["rest"], process.pid
        finally:
            process.terminate()


def _megabytes(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
