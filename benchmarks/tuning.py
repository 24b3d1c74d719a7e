"""Tuning: 30 trials of `tune` on a frozen module, compared with 30 separate runs of other values.

Module, images and head are those of the frozen training, for 10 epochs. A separate run is `hubline run` on a file with
another learning rate, in a root that has the module's vectors already: from process start to a pushed model, imports,
evaluation and export included. It is measured once per round and counted 30 times. The search is one such run with 30
trials before its training, two at once, also from process start to a pushed model. Its trials are trained to their
end, as the separate runs are; with `prune: median`, the default, a search takes less. For comparison, 30 runs in empty
roots compute the vectors each time.
"""

from collections.abc import Iterator
from pathlib import Path

from benchmarks import jobs
from benchmarks.harness import WORK, Bench, Sample, best, fresh
from benchmarks.results import Row, at_most

_TRIALS, _EPOCHS = 30, 10
_SEARCH = {
    "training.optimizer.learning_rate": {"log": [1e-4, 1e-2]},
    "model.head.dropout": {"uniform": [0.0, 0.5]},
    "trials": _TRIALS,
    "parallel": 2,
    "objective": "val_accuracy",
}


def measure(bench: Bench) -> Iterator[Row]:
    """Takes turns for the first run, a separate run and the two searches, in one root per round."""
    jobs.make_modules(bench)
    examples = f"{jobs.make_pictures(bench, bench.records(3_000), 160, 200)}/*.tfrecord"

    def run(name: str, folder: Path, rate: float, prune: str | bool | None = None) -> Sample:
        tune = None if prune is None else {**_SEARCH, "prune": prune}
        training = {"epochs": _EPOCHS, "optimizer": {"learning_rate": rate}}
        file = str(jobs.write(folder, examples, training=training, tune=tune))
        return bench.run(name, "benchmarks.ours:run", file=file, root=f"{folder}/root")

    def folder(number: int) -> Path:
        return WORK / "runs" / f"tuning-{number}"

    taken = bench.alternate(
        {
            "first": lambda number: run("first run", fresh(f"tuning-{number}"), 1e-3),
            "separate": lambda number: run("separate run, vectors kept", folder(number), 2e-3),
            "search": lambda number: run(f"{_TRIALS} trials", folder(number), 1e-3, prune=False),
            "pruned": lambda number: run(f"{_TRIALS} trials, pruned", folder(number), 1e-3, prune="median"),
        },
        reverse=False,  # the first run computes the vectors for the others
    )
    seconds = {name: best(samples, lambda sample: sample.seconds) for name, samples in taken.items()}
    separate, first = (_TRIALS * seconds[name] for name in ("separate", "first"))
    yield Row(f"a run with {_TRIALS} trials", seconds["search"], "30 runs, vectors kept", separate, bar=at_most(0.1))
    yield Row(f"a run with {_TRIALS} trials, pruned", seconds["pruned"], "30 runs, vectors kept", separate)
    yield Row(f"a run with {_TRIALS} trials", seconds["search"], "30 runs in empty roots", first)
    one = best(taken["search"], lambda sample: sample.of("Tuner")) / _TRIALS
    yield Row("a trial", one, "the Trainer of a run", best(taken["separate"], lambda sample: sample.of("Trainer")))
