"""Memory when the data grows tenfold: the peak of ingestion, Embedder and Evaluator.

Hubline runs on 300 and on 3,000 images of about 75 KB (22 and 220 MB), half of which are in the test split. Each of the
three steps is the first to run in its own process; the steps before it are cached. The peak is that of the whole
process during the step, including libraries; the increase during the step is in the rows without a bar.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import Bench, Step, fresh
from benchmarks.results import Row, at_most

MEASURED = {"ExampleGen": 0, "Embedder": 2, "Evaluator": 3}
"""The steps, with the index of the process in which each runs first."""
STOPS = ("ExampleGen", "DataGate", "Trainer", "Evaluator")
"""The last step of each process."""


def measure(bench: Bench) -> Iterator[Row]:
    """Runs the steps for each size."""
    jobs.make_modules(bench)
    fewer, more = (_steps(bench, bench.records(count)) for count in (300, 3_000))
    against = "a tenth of the data"
    for name in MEASURED:
        yield Row(f"peak memory of {name}", more[name].peak, against, fewer[name].peak, "MB", at_most(1.2))
    for name in MEASURED:
        yield Row(f"memory that {name} adds", more[name].added, against, fewer[name].added, "MB")


def _steps(bench: Bench, count: int) -> dict[str, Step]:
    """The measured steps, by name."""
    data = jobs.make_pictures(bench, count, 375, 500)
    folder = fresh("memory")
    file = str(jobs.write(folder, f"{data}/*.tfrecord", split=(4, 1, 5)))
    root = f"{folder}/root"
    samples = [bench.run(f"{count} pictures", "benchmarks.ours:run", file=file, root=root, until=to) for to in STOPS]
    return {name: samples[process].step(name) for name, process in MEASURED.items()}
