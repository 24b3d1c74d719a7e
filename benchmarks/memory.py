"""Memory while the data grows tenfold: the peak of ingestion, Embedder and Evaluator.

Hubline on 600 and on 6,000 pictures of about 75 KB (45 and 450 MB), half of which are the test split. Each step runs in
a process of its own, which finds the steps before it cached, so nothing that they left in memory counts.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import Bench, fresh
from benchmarks.results import Row, at_most

STOPS = ("ExampleGen", "Embedder", "Trainer", "Evaluator")
MEASURED = ("ExampleGen", "Embedder", "Evaluator")


def measure(bench: Bench) -> Iterator[Row]:
    """Takes each size through the steps."""
    jobs.make_modules(bench)
    fewer, more = (_peaks(bench, bench.records(count)) for count in (600, 6_000))
    for step in MEASURED:
        if step in more:
            yield Row(f"peak memory of {step}", more[step], "a tenth of the data", fewer[step], "MB", at_most(1.2))


def _peaks(bench: Bench, count: int) -> dict[str, float]:
    data = jobs.make_pictures(bench, count, 375, 500)
    folder = fresh(f"memory-{count}")
    file = str(jobs.write(folder, f"{data}/*.tfrecord", split=(4, 1, 5)))
    arguments = {"file": file, "root": f"{folder}/root"}
    samples = [bench.run(f"{count} pictures", "benchmarks.ours:run", until=stop, **arguments) for stop in STOPS]
    return {step.id: step.peak for sample in samples for step in sample.steps if not step.cached}
