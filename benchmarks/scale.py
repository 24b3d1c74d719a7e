"""Scale: a hundred thousand files pinned by their listing, look-ups in the shard cache of a store, and the vectors of
pictures by 1, 2 and 4 worker processes.

Every answer of the store takes 20 ms. The workers' vectors are compared: they must be the same, byte by byte. Once more
with a module that also waits for 5 ms per picture, as one on a device does that has time for several workers.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import jobs
from benchmarks.harness import Bench, Failed, Sample, best, fresh, newest
from benchmarks.listed_bucket import BUCKET, KEYS, ListedBucket, serving
from benchmarks.results import Row, at_most

_LATENCY = 0.02
_MODULE_LATENCY = 0.005
_WORKERS = (1, 2, 4)


def measure(bench: Bench) -> Iterator[Row]:
    """Listing, look-ups, workers."""
    count = bench.records(100_000)
    pinned = [bench.run("pinning", "benchmarks.scale:pin", count=count) for _ in range(bench.rounds)]
    yield Row(f"{count:,} files pinned", best(pinned, _seconds), "two minutes", 120.0, bar=at_most(1.0))
    yield Row(f"memory for {count:,} files", best(pinned, _peak), "1 GiB", 1024.0, "MB", at_most(1.0))
    entries = bench.records(5_000)
    found = [bench.run("look-ups", "benchmarks.scale:look_up", count=entries) for _ in range(bench.rounds)]
    alone = 2 * _LATENCY * entries
    yield Row(f"{entries:,} entries of a shard cache found", best(found, _seconds), "one after the other", alone)

    pictures = bench.records(50_000)
    jobs.make_modules(bench)
    folder = fresh("scale")
    data = jobs.make_pictures(bench, pictures, 96, 96, shards=16)
    file = jobs.write(folder, f"{data}/*")
    bench.prepare("benchmarks.ours:run", file=str(file), root=f"{folder}/root")
    yield from _by_workers(bench, file, f"vectors of {pictures:,} pictures", 0.0, None)
    yield from _by_workers(bench, file, "with a module that waits", _MODULE_LATENCY, {2: 0.6, 4: 0.35})


def _by_workers(bench: Bench, file: Path, what: str, latency: float, bars: dict[int, float] | None) -> Iterator[Row]:
    def run(workers: int) -> Callable[[int], Sample]:
        root = f"{file.parent}/root"
        return lambda _: bench.run(
            f"{what}, {workers}", "benchmarks.scale:embed", file=str(file), root=root, workers=workers, latency=latency
        )

    taken = bench.alternate({str(workers): run(workers) for workers in _WORKERS})
    if len({sample.figures["digest"] for samples in taken.values() for sample in samples}) > 1:
        raise Failed(f"{what}: the vectors depend on the number of workers")
    alone = best(taken["1"], _seconds)
    for workers in _WORKERS[1:]:
        bar = at_most(bars[workers]) if bars else None
        yield Row(f"{what}, {workers} workers", best(taken[str(workers)], _seconds), "1 worker", alone, bar=bar)


def _seconds(sample: Sample) -> float:
    return sample.figures["seconds"]


def _peak(sample: Sample) -> float:
    return sample.peak


def pin(count: int) -> dict[str, Any]:
    """Pins files in a bucket."""
    with _bucket([f"data/part-{number:06d}.tfrecord" for number in range(count)]):
        from hubline.components.config.data import Data
        from hubline.components.pin.snapshot import pin_files

        begin = time.monotonic()
        pinned = pin_files(Data(examples=f"s3://{BUCKET}/data/*.tfrecord"))
        seconds = time.monotonic() - begin
    assert len(pinned.by_split["all"]) == count
    return {"figures": {"seconds": seconds}}


def look_up(count: int) -> dict[str, Any]:
    """Finds entries of a shard cache in a bucket, as the steps do."""
    from hubline.components.spread.stage import Stage
    from hubline.core.shard_cache import ShardCache, key

    store = f"s3://{BUCKET}/store"
    tasks = [_Entry(key(number)) for number in range(count)]
    with _bucket([]):
        cache = ShardCache(store)

        def make(task: _Entry) -> None:
            with cache.making(task.key) as folder:
                for name in ("ingested.json", "train", "validation", "test"):
                    Path(folder, name).write_text(name)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(make, tasks))
        begin = time.monotonic()
        missing = Stage("entries", "entries", tasks, _nothing, store, weight=1.0).missing()
        seconds = time.monotonic() - begin
    assert not missing
    return {"figures": {"seconds": seconds}}


@dataclass(frozen=True)
class _Entry:
    key: str
    name: str = "entry"
    count: int = 1
    size: int = 1


def _nothing(*_: Any) -> None:
    pass


@contextmanager
def _bucket(keys: list[str]) -> Iterator[None]:
    """Serves a bucket from a process of its own, whose memory and time are not this one's."""
    reader, writer = os.pipe()
    server = os.fork()
    if server == 0:
        with serving(ListedBucket(keys, _LATENCY)) as address:
            os.write(writer, address.encode())
            time.sleep(24 * 3600)
    os.environ.update(KEYS, AWS_ENDPOINT_URL=os.read(reader, 100).decode())
    try:
        yield
    finally:
        os.kill(server, 9)
        os.waitpid(server, 0)


def embed(file: str, root: str, workers: int, latency: float) -> dict[str, Any]:
    """Embeds the shards that an earlier run ingested, with an empty shard cache.

    Args:
        file: The pipeline file.
        root: Folder of the run's files.
        workers: Number of processes.
        latency: Seconds that the module waits for each picture.
    """
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts

    from hubline.components.beam import IN_ONE_PROCESS, in_processes
    from hubline.components.component import components
    from hubline.components.embedder.executor import Executor
    from hubline.core.digest import file_digest
    from hubline.core.shard_cache import ShardCache
    from hubline.pipeline.graph import graph
    from hubline.pipeline.load import load
    from hubline.pipeline.paths import Paths
    from hubline.pipeline.snapshot import pin as pin_inputs

    read, _ = load(Path(file))
    steps = {step.id: step for step in components(graph(read, pin_inputs(read), Paths(Path(root))))}
    places = {
        "examples": ("ExampleGen", "examples", standard_artifacts.Examples),
        "schema": ("ParsingSchema", "parsing_schema", standard_artifacts.Schema),
        "hub_module": ("HubModule.module", "model", standard_artifacts.Model),
    }
    inputs = {}
    for name, (step, output, kind) in places.items():
        artifact = kind()
        artifact.uri = str(newest(root, step, output))
        inputs[name] = [artifact]
    inputs["examples"][0].split_names = '["train", "validation", "test"]'
    inputs["hub_module"][0].set_string_custom_property("sha256", "of the benchmark")
    arguments = list(IN_ONE_PROCESS) if workers == 1 else in_processes(workers)
    with tempfile.TemporaryDirectory(dir=root) as folder:
        context = base_beam_executor.BaseBeamExecutor.Context(arguments, tmp_dir=f"{folder}/tmp/", unique_id="1")
        executor = Executor(context)
        whole = executor.stage(inputs, dict(steps["Embedder"].exec_properties))
        stage = replace(whole, store=f"{folder}/store", fill=_Waiting(whole.fill, latency))
        begin = time.monotonic()
        executor.run_stage(stage)
        seconds = time.monotonic() - begin
        cache, digest = ShardCache(stage.store), hashlib.sha256()
        for task in stage.tasks:
            digest.update(file_digest(f"{cache.find(task.key)}/rows").encode())
    return {"figures": {"seconds": seconds, "digest": float(int(digest.hexdigest()[:12], 16))}}


@dataclass(frozen=True)
class _Waiting:
    """Does a task, and then waits as a slower module would."""

    fill: Callable[..., None]
    seconds: float
    """For each record."""

    def __call__(self, task: Any, folder: str, report: Callable[[int], None]) -> None:
        self.fill(task, folder, report)
        time.sleep(self.seconds * task.count)
