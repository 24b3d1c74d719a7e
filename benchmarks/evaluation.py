"""Evaluation with slices: the Evaluator's step on the test split of a trained model.

Hubline's Evaluator, with all that the step does, beside a Keras `model.evaluate` for accuracy and loss, with the same
module and a head of the same shape over the same files, AutoGraph kept off Keras: the call alone, and with loading the
module before it. And beside TFX's Evaluator on the same records and the same exported model, by its signature
`serving_default`, with the same metrics and slices.
"""

from collections.abc import Iterator

from benchmarks import jobs
from benchmarks.harness import Bench, Sample, best, fresh
from benchmarks.results import Row, at_most

SLICES = (["site"], ["label"])


def measure(bench: Bench) -> Iterator[Row]:
    """Trains once, then evaluates in turns. A threshold that changes by round keeps the cache from answering."""
    jobs.make_modules(bench)
    records = bench.records(5_000)
    examples = f"{jobs.make_pictures(bench, records, 160, 200)}/*.tfrecord"
    folder = fresh("evaluation")
    root = f"{folder}/root"

    def file(number: int) -> str:
        at_least = 0.001 * (number + 1)
        return str(jobs.write(folder, examples, split=(1, 1, 8), slices=SLICES, at_least=at_least))

    def ours(number: int) -> Sample:
        return bench.run("Hubline", "benchmarks.ours:run", file=file(number), root=root, until="Evaluator")

    def bare(number: int) -> Sample:
        return bench.run("model.evaluate", "benchmarks.bare:evaluate", file=file(number), root=root)

    def stock(number: int) -> Sample:
        arguments = {"file": file(number), "root": f"{folder}/stock", "trained": root}
        return bench.run("stock", "benchmarks.stock.run:evaluate", **arguments)

    bench.prepare("benchmarks.ours:run", file=file(-1), root=root, until="Trainer")
    taken = bench.alternate({"ours": ours, "bare": bare, "stock": stock})
    seconds = best(taken["ours"], lambda sample: sample.of("Evaluator"))
    call = best(taken["bare"], lambda sample: sample.figures["evaluate"])
    yield Row("evaluation with slices", seconds, "`model.evaluate`", call, bar=at_most(2))
    whole = best(taken["bare"], lambda sample: sample.figures["with module"])
    yield Row("evaluation with slices", seconds, "`model.evaluate`, with loading the module", whole)
    stock_seconds = best(taken["stock"], lambda sample: sample.of("Evaluator"))
    yield Row("evaluation with slices", seconds, "stock", stock_seconds, bar=at_most(1 / 3))
