"""Spans: a run on ten spans of pictures, then one on eleven, in the same root.

The sum of all steps of each run but the Trainer's: ingestion, statistics, Transform, vectors, evaluation, push. The
second run also has the first one's model to compare with. Each span is one file, so that is also the cost of a run when
a night's file came.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import jobs
from benchmarks.harness import Bench, Sample, best, fresh
from benchmarks.results import Row, at_most
from components import storage


def measure(bench: Bench) -> Iterator[Row]:
    """The first ten and the eleventh, in each round."""
    jobs.make_modules(bench)
    spans = sorted(jobs.make_pictures(bench, bench.records(13_200), 160, 200, shards=11).iterdir())

    def run(folder: Path, name: str, added: range) -> Sample:
        for span in added:
            storage.link(str(spans[span]), f"{folder}/data/span-{span + 1}/{spans[span].name}")
        file = jobs.write(folder, "data/span-{SPAN}/*")
        return bench.run(name, "benchmarks.ours:run", file=str(file), root=f"{folder}/root")

    folder = Path()

    def ten(number: int) -> Sample:
        nonlocal folder
        folder = fresh("spans")
        return run(folder, "ten spans", range(10))

    taken = bench.alternate(
        {"ten": ten, "eleventh": lambda number: run(folder, "an eleventh", range(10, 11))}, reverse=False
    )
    first, then = (best(samples, lambda sample: sample.all_steps(but="Trainer")) for samples in taken.values())
    yield Row("an eleventh span, all steps but training", then, "the ten", first, bar=at_most(0.2))
