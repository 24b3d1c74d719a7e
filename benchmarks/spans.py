"""Spans: a run on ten spans of pictures, then one on eleven, in the same root.

Both whole runs from their first step to the end, less the Trainer: ingestion, statistics, vectors, evaluation, push.
"""

import os
import shutil
from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import WORK, Bench, Sample, best, fresh
from benchmarks.results import Row, at_most


def measure(bench: Bench) -> Iterator[Row]:
    """The first ten and the eleventh, in each round."""
    jobs.make_modules(bench)
    count = bench.records(300)
    spans = [jobs.make_pictures(bench, count, 160, 200, shards=1, first=count * number) for number in range(11)]

    def ten(number: int) -> Sample:
        folder = fresh(f"spans-{number}")
        for span in range(10):
            shutil.copytree(spans[span], folder / "data" / f"span-{span + 1}", copy_function=os.link)
        return run(number, "ten spans")

    def eleven(number: int) -> Sample:
        folder = WORK / "runs" / f"spans-{number}"
        shutil.copytree(spans[10], folder / "data" / "span-11", copy_function=os.link)
        return run(number, "an eleventh")

    def run(number: int, name: str) -> Sample:
        folder = WORK / "runs" / f"spans-{number}"
        file = jobs.write(folder, "data/span-{SPAN}/*", epochs=2)
        return bench.run(name, "benchmarks.ours:run", file=str(file), root=f"{folder}/root")

    first, then = zip(*((ten(number), eleven(number)) for number in range(bench.rounds)), strict=True)
    ours, all_ten = (
        best(samples, lambda sample: sample.after_start_up - sample.of("Trainer")) for samples in (then, first)
    )
    yield Row("an eleventh span, without training and start-up", ours, "the ten", all_ten, bar=at_most(0.2))
