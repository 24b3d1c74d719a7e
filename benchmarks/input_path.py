"""Input path: pictures of 375x500 a second, from TFRecords to batches of 224x224, on the first pass and on later ones.

Hubline's Trainer with a module that costs next to nothing, beside a bare `tf.data` loop (read, shuffle, parse, decode,
resize, batch, prefetch) over the same files, those that ExampleGen wrote. The first quarter of a pass does not count,
so that neither pays for building its graph, nor gains by reading meanwhile.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import Bench, fresh
from benchmarks.results import Row, at_least


def measure(bench: Bench) -> Iterator[Row]:
    """Has the data ingested and transformed once, then trains in turns. Another seed makes the Trainer run again."""
    jobs.make_modules(bench)
    data = jobs.make_pictures(bench, bench.records(2_000), 375, 500)
    folder = fresh("input-path")
    root = f"{folder}/root"

    def file(seed: int) -> str:
        examples, module, split = f"{data}/*.tfrecord", jobs.TRIVIAL_MODULE, (98, 1, 1)
        return str(jobs.write(folder, examples, module, size=224, split=split, epochs=3, hidden=[], seed=seed))

    bench.prepare("benchmarks.ours:run", file=file(0), root=root, until="Transform")
    taken = bench.alternate(
        {
            "ours": lambda number: bench.run("Hubline", "benchmarks.ours:train", file=file(number), root=root),
            "bare": lambda number: bench.run("bare loop", "benchmarks.bare:read", file=file(number), root=root),
        }
    )
    for which, bar in (("first", at_least(0.9)), ("later", None)):
        rates = {name: max(sample.figures[which] for sample in samples) for name, samples in taken.items()}
        yield Row(f"input path, {which} pass", rates["ours"], "bare loop", rates["bare"], "pictures/s", bar)
