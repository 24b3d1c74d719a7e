"""Frozen training: a head on MobileNetV2 0.35 (96x96), for 1 and for 10 epochs, and then with another head.

The seconds are those of the steps that pictures go through to become a trained head: Embedder and Trainer of Hubline,
Transform (which materialises floats) and Trainer of the stock way, and for the bare loop a Keras `fit` on a `tf.data`
pipeline that decodes the pictures, with AutoGraph kept off Keras and without an export. The Embedder's
time of the first run counts for 1 epoch as for 10. Another head is trained in the same root after the 10 epochs; both
whole runs are compared from their first step to the end.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import jobs
from benchmarks.harness import WORK, Bench, Sample, best, fresh
from benchmarks.results import Row, at_most


def measure(bench: Bench) -> Iterator[Row]:
    """Hubline and the bare loop take turns; the stock way, which is slow, has one."""
    jobs.make_modules(bench)
    records = bench.records(1_500)
    examples = f"{jobs.make_pictures(bench, records, 160, 200)}/*.tfrecord"

    def ours(number: int, what: str) -> Sample:
        folder = WORK / "runs" / f"training-ours-{number}"
        epochs, hidden = (1, [64]) if what == "1 epoch" else (10, [32] if what == "another head" else [64])
        file = str(jobs.write(folder, examples, epochs=epochs, hidden=hidden))
        return bench.run(f"Hubline, {what}", "benchmarks.ours:run", file=file, root=f"{folder}/root")

    def bare(number: int, epochs: int) -> Sample:
        file = str(jobs.write(fresh(f"training-bare-{number}"), examples, epochs=epochs))
        return bench.run(f"bare loop, {epochs} epochs", "benchmarks.bare:train", file=file, records=records)

    for number in range(bench.rounds):
        fresh(f"training-ours-{number}")
    # In each round the 10 epochs come first, in an empty root; the runs after them find the vectors there.
    taken = bench.alternate(
        {
            "10": lambda number: ours(number, "10 epochs"),
            "bare 10": lambda number: bare(number, 10),
            "1": lambda number: ours(number, "1 epoch"),
            "bare 1": lambda number: bare(number, 1),
            "another head": lambda number: ours(number, "another head"),
        },
        reverse=False,
    )
    embedded = best(taken["10"], lambda sample: sample.of("Embedder"))
    ours_1, ours_10 = (embedded + best(taken[epochs], lambda sample: sample.of("Trainer")) for epochs in ("1", "10"))
    yield Row("frozen training, 10 epochs", ours_10, "1 epoch", ours_1, bar=at_most(1.3))
    for epochs, seconds in (("1", ours_1), ("10", ours_10)):
        bare_seconds = best(taken[f"bare {epochs}"], lambda sample: sample.figures["seconds"])
        yield Row(f"frozen training, {epochs} epochs", seconds, "bare loop", bare_seconds)
    first, again = (best(taken[name], lambda sample: sample.after_start_up) for name in ("10", "another head"))
    yield Row("another head, whole run without start-up", again, "the first run", first, bar=at_most(0.4))

    # One root, so that the data is prepared once.
    folder = fresh("training-stock")
    file = jobs.write(folder, examples, epochs=1)
    stock_1 = _stock(bench, "stock, 1 epoch", folder, file, records)
    prepared = stock_1.of("Transform")
    stock_10 = _stock(bench, "stock, 10 epochs", folder, jobs.write(folder, examples, epochs=10), records)
    stock_again = _stock(
        bench, "stock, another head", folder, jobs.write(folder, examples, epochs=10, hidden=[32]), records
    )
    transformed = best(taken["10"], lambda sample: sample.of("Transform"))
    for epochs, seconds, sample in (("1", ours_1, stock_1), ("10", ours_10, stock_10)):
        what = f"frozen training with Transform, {epochs} epochs"
        yield Row(what, transformed + seconds, "stock", prepared + sample.of("Trainer"))
    yield Row("another head, whole run without start-up", again, "stock", stock_again.after_start_up)


def _stock(bench: Bench, name: str, folder: Path, file: Path, records: int) -> Sample:
    return bench.run(name, "benchmarks.stock.run:run", file=str(file), root=str(folder), records=records)
