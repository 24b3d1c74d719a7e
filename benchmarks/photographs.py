"""Accuracy on photographs: `examples/photographs` compared with the same recipe in plain Keras, on the same records.

Both start from the same hub module, train a head on it and then both together, with the same steps, learning rates and
augmentations, and are evaluated on the same photographs. Heads are initialized at random, so runs of either differ by
some points.

The defaults are compared with a careful script: a pipeline file that sets nothing but the number of epochs and early
stopping, and a head that plain Keras trains on the same module's vectors with settings tuned by hand on the validation
split. Both are the mean of five seeds. Skipped if the data set is missing (`HUBLINE_DATA` names the folder of data
sets).
"""

import os
import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks import jobs
from benchmarks.harness import ROOT, Bench, fresh
from benchmarks.results import Row, at_least

_SEEDS = range(5)

_DATA = Path(os.environ.get("HUBLINE_DATA", ROOT.parent / "shared" / "data")) / "clothing"


def measure(bench: Bench) -> Iterator[Row]:
    """Both accuracies on the test split, in percent."""
    if not _DATA.exists():
        return
    folder = fresh("photographs")
    bench.prepare("benchmarks.data:photographs", source=str(_DATA), folder=str(folder / "data"))
    bench.prepare("benchmarks.data:upright", data=str(folder / "data"), folder=str(folder / "modules" / "upright"))
    file = str(jobs.photographs_example(folder, folder / "data"))
    ours = bench.run("Hubline, examples/photographs", "benchmarks.ours:run", file=file, root=f"{folder}/root")
    other = bench.run("plain Keras", "benchmarks.stock.photographs:train", file=file, trained=f"{folder}/root")
    percent = [100 * sample.figures["accuracy"] for sample in (ours, other)]
    yield Row("accuracy on photographs", percent[0], "plain Keras", percent[1], "%", at_least(0.9))
    yield Row("seconds of fine-tuning", ours.of("Embedder", "Trainer"), "plain Keras", other.figures["seconds"])
    files = [str(jobs.photographs_by_default(folder, folder / "data", seed)) for seed in _SEEDS]
    defaults = [
        bench.run(f"Hubline, defaults, seed {seed}", "benchmarks.ours:run", file=file, root=f"{folder}/defaults")
        for seed, file in zip(_SEEDS, files, strict=True)
    ]
    careful = bench.run(
        "plain Keras, tuned", "benchmarks.stock.photographs:train_head", file=files[0], trained=f"{folder}/defaults"
    )
    mean = statistics.fmean(100 * sample.figures["accuracy"] for sample in defaults)
    tuned = 100 * careful.figures["accuracy"]
    yield Row("accuracy of the defaults on photographs", mean, "plain Keras, tuned by hand", tuned, "%", at_least(0.95))
