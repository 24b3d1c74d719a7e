"""Frozen training: a head on MobileNetV2 0.35 (96x96) for 1 and for 10 epochs, and then another head.

10 epochs are compared with 1 by the seconds of Embedder and Trainer together, each in an empty root. 1 epoch is
compared with a plain loop: a Keras `fit` on a `tf.data` pipeline that decodes the images, with Keras excluded from
AutoGraph, including the time to load the module, without an export. The stock side consists of Transform, which
materializes floats, and Trainer, also for 1 epoch, which is its best case; in that comparison, Hubline's Transform
counts too. Another head is trained in the root of the 10 epochs: the total time of all steps of that run is compared
with that of the first, for the same number of images and for more, because loading and exporting models doesn't depend
on the number.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import WORK, Bench, Sample, best, fresh
from benchmarks.results import Row, at_most


def measure(bench: Bench) -> Iterator[Row]:
    """Hubline and the plain loop take turns; the stock pipeline, which is slow, has one turn."""
    jobs.make_modules(bench)
    records, many = bench.records(3_000), bench.records(10_000)
    examples, more = (f"{jobs.make_pictures(bench, count, 160, 200)}/*.tfrecord" for count in (records, many))

    def ours(what: str, epochs: int, data: str = examples, until: str | None = None, head: bool = False) -> Sample:
        folder = WORK / "runs" / "training-ours" if head else fresh("training-ours")
        file = str(jobs.write(folder, data, training={"epochs": epochs}, hidden=[32 if head else 64]))
        return bench.run(f"Hubline, {what}", "benchmarks.ours:run", file=file, root=f"{folder}/root", until=until)

    def bare(number: int) -> Sample:
        file = str(jobs.write(fresh("training-bare"), examples))
        return bench.run("bare loop, 1 epoch", "benchmarks.bare:train", file=file, records=records)

    taken = bench.alternate(
        {
            "1": lambda number: ours("1 epoch", 1, until="Trainer"),
            "bare": bare,
            "10": lambda number: ours("10 epochs", 10),
            "another head": lambda number: ours("another head", 10, head=True),
            "more": lambda number: ours(f"10 epochs, {many:,} pictures", 10, more),
            "another head on more": lambda number: ours(f"another head, {many:,} pictures", 10, more, head=True),
        },
        reverse=False,  # another head uses the vectors of the run just before it
    )
    folder = fresh("training-stock")
    arguments = {"file": str(jobs.write(folder, examples)), "root": str(folder), "records": records, "until": "Trainer"}
    stock = bench.run("stock, 1 epoch", "benchmarks.stock.run:run", **arguments)

    one, ten = (best(taken[epochs], lambda sample: sample.of("Embedder", "Trainer")) for epochs in ("1", "10"))
    yield Row("frozen training, 10 epochs", ten, "1 epoch", one, bar=at_most(1.3))
    for count, names, bar in (
        (many, ("more", "another head on more"), at_most(0.4)),
        (records, ("10", "another head"), None),
    ):
        first, again = (best(taken[name], Sample.all_steps) for name in names)
        yield Row(f"another head, all steps; {count:,} pictures", again, "the first run", first, bar=bar)
    bare_seconds = best(taken["bare"], lambda sample: sample.figures["seconds"])
    yield Row("frozen training, 1 epoch", one, "bare loop", bare_seconds)
    whole = best(taken["1"], lambda sample: sample.of("Transform", "Embedder", "Trainer"))
    yield Row("frozen training with Transform, 1 epoch", whole, "stock", stock.of("Transform", "Trainer"))
