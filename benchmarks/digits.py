"""The digits job end to end: from process start to a pushed model, on examples/digits.

Compares `hubline run` with the stock pipeline, each in an empty root, including imports and report. The stock pipeline
runs twice: as in the templates, and with Keras excluded from AutoGraph, which TensorFlow 2.16 doesn't do by itself and
which saves much of its Trainer's time. Start-up is the part of those runs before the first step of the graph. Two
further runs of unchanged files follow in the same roots. Hubline runs nothing in either; the stock pipeline compares
its model with the version that now serves in the first, and finds everything cached in the second.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import WORK, Bench, Sample, best, fresh
from benchmarks.results import Row, at_most

RECORDS = 900


def measure(bench: Bench) -> Iterator[Row]:
    """Takes turns for the full runs; the further runs happen once."""

    def ours(number: int, again: str = "") -> Sample:
        folder = WORK / "runs" / f"digits-ours-{number}" if again else fresh(f"digits-ours-{number}")
        return bench.run(f"Hubline{again}", "benchmarks.ours:run", file=str(jobs.digits(folder)), root=f"{folder}/root")

    def stock(number: int, again: str = "", mended: bool = False) -> Sample:
        name = f"digits-{'mended' if mended else 'stock'}-{number}"
        folder = WORK / "runs" / name if again else fresh(name)
        arguments = {"file": str(jobs.digits(folder)), "root": str(folder), "records": RECORDS, "mended": mended}
        return bench.run(f"stock{_MENDED * mended}{again}", "benchmarks.stock.run:run", **arguments)

    taken = bench.alternate(
        {"ours": ours, "stock": stock, "mended": lambda number: stock(number, mended=True)},
    )
    seconds = {name: best(samples, lambda sample: sample.seconds) for name, samples in taken.items()}
    yield Row("the digits job, whole", seconds["ours"], "stock", seconds["stock"], bar=at_most(0.5))
    yield Row("the digits job, whole", seconds["ours"], f"stock{_MENDED}", seconds["mended"])
    start_up = {name: best(samples, lambda sample: sample.start_up) for name, samples in taken.items()}
    yield Row("start-up", start_up["ours"], "stock", min(start_up["stock"], start_up["mended"]))
    for again in (", unchanged", ", all cached"):
        yield Row(f"the digits job{again}", ours(0, again).seconds, "stock", stock(0, again).seconds)


_MENDED = ", AutoGraph off Keras"
