"""Columns: preprocessing and model of TFX's own taxi example, compared with the same in a pipeline file.

Both have three numbers (z-scores), two computed vocabularies, four numbers in ten buckets and four columns of small
integers, and start from the same records, splits and schema, those of Hubline's ExampleGen. On the stock side,
preprocessing is the Transform component as in TFX's template, which writes the transformed records; on Hubline's, it is
Transform and then one pass over all records with `tf.data`, which reads, parses and transforms them. It is measured on
the 15,000 trips that TFX ships, and on ten times as many. The AUC is for the probability of a tip of more than a fifth
of the fare on the test split, of TFX's wide-and-deep model and of `examples/taxi`, with the same number of steps.

The defaults are compared with a careful script: the file that `hubline init` writes, with the label changed to a tip of
more than a fifth, and a network in plain Keras whose preprocessing is written by hand. Both are the mean of five seeds.
"""

import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks import jobs
from benchmarks.harness import Bench, Sample, fresh
from benchmarks.results import Row, at_least, at_most

_TIMES = 10
_SEEDS = range(5)


def measure(bench: Bench) -> Iterator[Row]:
    """Both sizes, then both models."""
    taken = {times: _preprocessing(bench, times) for times in (1, 1 if bench.quick else _TIMES)}
    for times, (ours, stock) in taken.items():
        rows = f"{15_000 * times:,} rows"
        bar = at_most(1 / 3) if times > 1 else None
        yield Row(f"preprocessing, {rows}", _seconds(ours), "stock", stock.of("Transform"), bar=bar)
        peaks = [sample.step("Transform").peak for sample in (ours, stock)]
        yield Row(f"peak memory of Transform, {rows}", peaks[0], "stock", peaks[1], "MB")
    few, many = taken.values()
    grown = [more.step("Transform").peak - fewer.step("Transform").peak for fewer, more in zip(few, many, strict=True)]
    yield Row("memory that ten times the rows add to Transform", max(grown[0], 0.1), "stock", max(grown[1], 0.1), "MB")

    data = jobs.make_taxi(bench, 1)
    folder = fresh("taxi-model")
    file = str(jobs.taxi_example(folder, data))
    ours = bench.run("Hubline, examples/taxi", "benchmarks.ours:run", file=file, root=f"{folder}/root")
    arguments = {"file": file, "root": f"{folder}/stock", "trained": f"{folder}/root"}
    stock = bench.run("stock, wide and deep", "benchmarks.stock.taxi:train", **arguments)
    yield Row("AUC of taxi", ours.figures["auc"], "stock", stock.figures["auc"], "", at_least(1.0))
    yield Row("Trainer of taxi", ours.of("Trainer"), "stock", stock.of("Trainer"))
    yield _defaults(bench, folder, data)


def _defaults(bench: Bench, folder: Path, data: Path) -> Row:
    root = f"{folder}/defaults"
    samples = [
        bench.run(f"Hubline, defaults, seed {seed}", "benchmarks.ours:run", file=str(file), root=root)
        for seed, file in zip(_SEEDS, jobs.taxi_by_default(bench, folder, data, _SEEDS), strict=True)
    ]
    by_hand = bench.run("plain Keras, by hand", "benchmarks.stock.taxi_by_hand:train", trained=root, seeds=len(_SEEDS))
    mean = statistics.fmean(100 * sample.figures["auc"] for sample in samples)
    careful = 100 * by_hand.figures["auc"]
    return Row("AUC of the defaults on taxi", mean, "plain Keras, by hand", careful, "%", at_least(0.998))


def _preprocessing(bench: Bench, times: int) -> tuple[Sample, Sample]:
    data = jobs.make_taxi(bench, times)

    def prepared(name: str) -> tuple[Path, dict[str, str]]:
        folder = fresh(f"taxi-{name}-{times}")
        file = str(jobs.taxi_columns(folder, data))
        root = f"{folder}/root"
        bench.prepare("benchmarks.ours:run", file=file, root=root, until="ParsingSchema")
        return folder, {"file": file, "root": root}

    def ours(number: int) -> Sample:
        _, arguments = prepared(f"ours-{number}")
        return bench.run(f"Hubline, {times} x 15,000 trips", "benchmarks.ours:preprocess", **arguments)

    def stock(number: int) -> Sample:
        folder, arguments = prepared(f"stock-{number}")
        arguments |= {"trained": arguments["root"], "root": f"{folder}/stock"}
        return bench.run(f"stock, {times} x 15,000 trips", "benchmarks.stock.taxi:transform", **arguments)

    taken = bench.alternate({"ours": ours, "stock": stock})
    return min(taken["ours"], key=_seconds), min(taken["stock"], key=lambda sample: sample.of("Transform"))


def _seconds(sample: Sample) -> float:
    return sample.of("Transform") + sample.figures["one pass"]
