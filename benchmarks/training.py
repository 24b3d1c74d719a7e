"""Frozen training: a head on MobileNetV2 0.35 (96x96) for 1 and for 10 epochs, and then another head.

The 10 epochs against 1 are the seconds of Embedder and Trainer together, each in an empty root. Those of 1 epoch stand
beside a bare loop: a Keras `fit` on a `tf.data` pipeline that decodes the pictures, AutoGraph kept off Keras, with
loading the module and without an export. The stock way's are Transform, which materialises floats, and Trainer, for 1
epoch too, which is its best case; beside it Hubline's Transform counts. Another head is trained in the root of the 10
epochs: the sum of all steps of that run against the sum of all steps of the first, on as many pictures and on more:
loading and exporting models does not depend on them.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import WORK, Bench, Sample, best, fresh
from benchmarks.results import Row, at_most


def measure(bench: Bench) -> Iterator[Row]:
    """Hubline and the bare loop take turns; the stock way, which is slow, has one."""
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
        reverse=False,  # another head finds the vectors of the run just before it
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
