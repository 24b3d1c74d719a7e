"""Spans: a run on ten spans of images, then one on eleven, in the same root.

The figure is the total time of all steps of each run except the Trainer: ingestion, statistics, Transform, vectors,
evaluation, push. The second run also compares with the first one's model. Each span is one file, so this is also the
cost of a run after a nightly file has arrived. Part of it, such as loading modules and models, doesn't depend on the
data; hence the comparison of small and large spans.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import jobs
from benchmarks.harness import Bench, Sample, best, fresh
from benchmarks.results import Bar, Row, at_most
from hubline.core import storage

_SPANS = 11


def measure(bench: Bench) -> Iterator[Row]:
    """Small spans, and large ones."""
    jobs.make_modules(bench)
    yield _of(bench, bench.records(4_000), at_most(0.2))
    yield _of(bench, bench.records(1_200), None)


def _of(bench: Bench, size: int, bar: Bar | None) -> Row:
    """The first ten and the eleventh, in each round."""
    spans = sorted(jobs.make_pictures(bench, _SPANS * size, 160, 200, shards=_SPANS).iterdir())
    what = f"{size:,} pictures each"

    def run(folder: Path, name: str, added: range) -> Sample:
        for span in added:
            storage.link(str(spans[span]), f"{folder}/data/span-{span + 1}/{spans[span].name}")
        file = jobs.write(folder, "data/span-{SPAN}/*")
        return bench.run(f"{name}, {what}", "benchmarks.ours:run", file=str(file), root=f"{folder}/root")

    folder = Path()

    def ten(number: int) -> Sample:
        nonlocal folder
        folder = fresh("spans")
        return run(folder, "ten spans", range(10))

    taken = bench.alternate(
        {"ten": ten, "eleventh": lambda number: run(folder, "an eleventh", range(10, _SPANS))}, reverse=False
    )
    first, then = (best(samples, lambda sample: sample.all_steps(but="Trainer")) for samples in taken.values())
    return Row(f"an eleventh span, all steps but training; {what}", then, "the ten", first, bar=bar)
