"""Evaluation with slices, of a candidate and of the serving model, on the test split.

Hubline's part is the whole Evaluator step: it loads both models, predicts from cached vectors, stores the predictions,
computes accuracy, cross-entropy and AUC with TFMA overall and for two slice columns, and decides. `model.evaluate` is a
plain Keras loop over the same records for accuracy and loss of one model: the same module and a head of the same shape,
with Keras excluded from AutoGraph. The bar refers to the time that a user waits for it, including loading the module,
as the step does; the time of the call alone is listed next to it. The stock Evaluator's whole step uses the same
records, the same exported model as candidate and as baseline through its signature `serving_default`, and the same
metrics and slices.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import Bench, Sample, best, fresh
from benchmarks.results import Row, at_most

SLICES = (["site"], ["label"])


def measure(bench: Bench) -> Iterator[Row]:
    """Trains and pushes once, then takes turns evaluating. A threshold that changes in each round prevents caching."""
    jobs.make_modules(bench)
    records = bench.records(5_000)
    examples = f"{jobs.make_pictures(bench, records, 160, 200)}/*.tfrecord"
    folder = fresh("evaluation")
    root = f"{folder}/root"

    def file(at_least: float) -> str:
        return str(jobs.write(folder, examples, split=(1, 1, 8), slices=SLICES, at_least=at_least))

    def ours(number: int) -> Sample:
        arguments = {"file": file(0.001 * (number + 1)), "root": root, "until": "Evaluator"}
        return bench.run("Hubline", "benchmarks.ours:run", **arguments)

    def bare(number: int) -> Sample:
        return bench.run("model.evaluate", "benchmarks.bare:evaluate", file=file(0.0), root=root)

    def stock(number: int) -> Sample:
        arguments = {"file": file(0.001 * (number + 1)), "root": f"{folder}/stock", "trained": root}
        return bench.run("stock", "benchmarks.stock.run:evaluate", **arguments)

    bench.prepare("benchmarks.ours:run", file=file(0.0), root=root)
    taken = bench.alternate({"ours": ours, "bare": bare, "stock": stock})
    seconds = best(taken["ours"], lambda sample: sample.of("Evaluator"))
    for what, figure, bar in (
        ("`model.evaluate`, module loaded", "with module", at_most(2)),
        ("`model.evaluate`, the call alone", "evaluate", None),
    ):
        bare_seconds = best(taken["bare"], lambda sample, figure=figure: sample.figures[figure])
        yield Row("evaluation with slices", seconds, what, bare_seconds, bar=bar)
    stock_seconds = best(taken["stock"], lambda sample: sample.of("Evaluator"))
    yield Row("evaluation with slices", seconds, "stock", stock_seconds, bar=at_most(1 / 3))
