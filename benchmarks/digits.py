"""The digits job, whole: from the start of the process to a pushed model, on examples/digits.

`hubline run` beside the stock pipeline, each in an empty root; then again in the same root, when only what depends on
the version that now serves is done again; and once more, when all is cached. The stock way is also run once with
AutoGraph kept off Keras, which TensorFlow 2.16 does not know to do by itself: that is most of its Trainer's time there,
and nobody's who uses a template.
"""

from collections.abc import Iterator
from typing import Any

from benchmarks import jobs
from benchmarks.harness import WORK, Bench, Sample, best, fresh
from benchmarks.results import Row, at_most

RECORDS = 900


def measure(bench: Bench) -> Iterator[Row]:
    """Whole runs in turns; the runs after them once."""

    def ours(number: int, again: str = "") -> Sample:
        folder = WORK / "runs" / f"digits-ours-{number}" if again else fresh(f"digits-ours-{number}")
        return bench.run(f"Hubline{again}", "benchmarks.ours:run", file=str(jobs.digits(folder)), root=f"{folder}/root")

    def stock(number: int, again: str = "", **arguments: Any) -> Sample:
        folder = WORK / "runs" / f"digits-stock-{number}" if again else fresh(f"digits-stock-{number}")
        arguments |= {"file": str(jobs.digits(folder)), "root": str(folder), "records": RECORDS}
        return bench.run(f"stock{again}", "benchmarks.stock.run:run", **arguments)

    taken = bench.alternate({"ours": ours, "stock": stock})
    seconds = best(taken["ours"], lambda sample: sample.seconds)
    yield Row("the digits job", seconds, "stock", best(taken["stock"], lambda sample: sample.seconds), bar=at_most(0.5))
    folder = fresh("digits-mended")
    arguments = {"file": str(jobs.digits(folder)), "root": str(folder), "records": RECORDS, "mended": True}
    mended = bench.run("stock, AutoGraph off Keras", "benchmarks.stock.run:run", **arguments)
    yield Row("the digits job", seconds, "stock, AutoGraph off Keras", mended.seconds)
    for again in (", unchanged", ", all cached"):
        yield Row(f"the digits job{again}", ours(0, again).seconds, "stock", stock(0, again).seconds)
