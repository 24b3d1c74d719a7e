"""Input path: 375x500 images per second, from TFRecords to batches of 224x224, in one pass.

Measures Hubline's entire Trainer, in a training that has to read and decode images: the hub module, which costs next to
nothing, is fine-tuned from the first epoch on, so its vectors can't be cached. The comparison is a plain `tf.data` loop
(read, shuffle, parse, decode, resize, batch, prefetch) over the same files from ExampleGen, without a consumer. Neither
augments; both shuffle 256 records at a time, so that reading continues while batches are consumed. The first quarter of
the pass is ignored, so that graph building neither costs either of them time nor lets it read ahead.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import Bench, best, fresh
from benchmarks.results import Row, at_least


def measure(bench: Bench) -> Iterator[Row]:
    """Prepares the data once, then takes turns training. Changing the seed makes the Trainer run again."""
    jobs.make_modules(bench)
    data = jobs.make_pictures(bench, bench.records(4_000), 375, 500)
    folder = fresh("input-path")
    root = f"{folder}/root"

    def file(seed: int) -> str:
        training = {"seed": seed, "shuffle_buffer": 256}
        options = {"module": jobs.TRIVIAL_MODULE, "size": 224, "split": (98, 1, 1), "hidden": [], "fine_tune": True}
        return str(jobs.write(folder, f"{data}/*.tfrecord", training=training, **options))

    bench.prepare("benchmarks.ours:run", file=file(0), root=root, until="Embedder")
    taken = bench.alternate(
        {
            "ours": lambda number: bench.run("Hubline", "benchmarks.ours:train", file=file(number), root=root),
            "bare": lambda number: bench.run("bare loop", "benchmarks.bare:read", file=file(number), root=root),
        }
    )
    ours, bare = (best(samples, lambda sample: sample.figures["rate"], most=True) for samples in taken.values())
    yield Row("the Trainer's input path", ours, "bare loop", bare, "pictures/s", at_least(0.9))
