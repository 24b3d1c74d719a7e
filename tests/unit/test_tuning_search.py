"""The search of the section `tune`: its proposals, its results on disk, and when a trial is stopped."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from ruamel.yaml import YAML

from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training
from hubline.trainer.config.tuning import Tune, nested, with_values
from hubline.trainer.tuning.results import Trial, Trials, best_trial_text, read_best, write_best
from hubline.trainer.tuning.search import search
from hubline.trainer.tuning.trial import Task

EPOCHS = 9
RATE, HIDDEN = "training.optimizer.learning_rate", "model.head.hidden"


def tune(**settings: Any) -> Tune:
    ranges = {RATE: {"log": [1e-4, 1.0]}, HIDDEN: {"choice": [[4], [8, 2], []]}}
    return Tune.model_validate(ranges | {"model.head.dropout": {"uniform": [0.0, 0.5]}, "trials": 12} | settings)


def loss(task: Task, epoch: int) -> float:
    """Falls with the epochs, and is lowest for a rate of 0.01 without dropout."""
    distance = (math.log10(task.values[RATE]) + 2) ** 2 + task.values["model.head.dropout"]
    return distance + 1 / (1 + epoch)


class Trainings:
    """Stands in for trainings; records which trials were run."""

    def __init__(self, stop_before: int | None = None) -> None:
        self.run: list[int] = []
        self.tasks: list[Task] = []
        self._stop_before = stop_before

    def __call__(self, tasks: Sequence[Task]) -> Iterator[Trial]:
        for task in reversed(tasks):  # the last one is done first
            if task.number == self._stop_before:
                raise KeyboardInterrupt
            self.run.append(task.number)
            self.tasks.append(task)
            yield trained(task)


def trained(task: Task) -> Trial:
    epochs = task.epochs or EPOCHS
    history = [loss(task, epoch) for epoch in range(epochs)]
    for epoch, limit in enumerate(task.medians):
        if min(history[: epoch + 1]) > limit:
            history = history[: epoch + 1]
            break
    is_done = len(history) == EPOCHS
    return Trial(
        number=task.number, values=task.values, status="completed" if is_done else "stopped", objective=history[-1],
        epochs=len(history), seconds=0.1, history=tuple(history), continues=task.continues,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("search_by", ["random", "grid", "hyperband", "bayesian"])
@pytest.mark.parametrize("parallel", [1, 3])
def test_the_same_search_has_the_same_trials_also_when_it_is_interrupted(
    tmp_path: Path, search_by: str, parallel: int
) -> None:
    config = tune(search=search_by, parallel=parallel, trials=11)
    whole = Trainings()
    expected = search(config, EPOCHS, str(tmp_path / "whole"), whole)
    first = Trainings(stop_before=10 if search_by == "bayesian" else 8)
    with pytest.raises(KeyboardInterrupt):
        search(config, EPOCHS, str(tmp_path / "part"), first)
    rest = Trainings()
    assert search(config, EPOCHS, str(tmp_path / "part"), rest) == expected
    assert not set(first.run) & set(rest.run) and sorted(first.run + rest.run) == sorted(whole.run)
    assert [trial.number for trial in expected.trials] == list(range(1, len(expected.trials) + 1))
    for trial in expected.trials:
        assert 1e-4 <= trial.values[RATE] <= 1.0 and 0.0 <= trial.values["model.head.dropout"] <= 0.5
        assert trial.values[HIDDEN] in ([4], [8, 2], [])


@pytest.mark.slow
def test_another_seed_has_other_trials(tmp_path: Path) -> None:
    one, other = (search(tune(seed=seed), EPOCHS, str(tmp_path / str(seed)), Trainings()) for seed in (0, 1))
    assert one.trials[0].values != other.trials[0].values


def test_a_grid_has_every_combination_once(tmp_path: Path) -> None:
    config = Tune.model_validate(
        {
            HIDDEN: {"choice": [[4], [8]]},
            "training.batch_size": {"int": [8, 32], "step": 2, "sampling": "log"},
            "training.seed": {"int": [1, 3]},
            "search": "grid",
        }
    )
    done: list[dict] = []

    def run(tasks: Sequence[Task]) -> Iterator[Trial]:
        for task in tasks:
            done.append(task.values)
            yield Trial(number=task.number, values=task.values, status="completed", objective=1.0, epochs=1, seconds=0)

    search(config, EPOCHS, str(tmp_path), run)
    found = sorted((tuple(one[HIDDEN]), one["training.batch_size"], one["training.seed"]) for one in done)
    assert found == [((hidden,), size, seed) for hidden in (4, 8) for size in (8, 16, 32) for seed in (1, 2, 3)]
    assert all(type(one["training.batch_size"]) is int for one in done)


@pytest.mark.slow
def test_a_bayesian_search_learns_from_its_trials(tmp_path: Path) -> None:
    def reversed_run(tasks: Sequence[Task]) -> Iterator[Trial]:
        for task in tasks:
            found = trained(task)
            yield found.model_copy(update={"objective": -float(found.objective or 0.0)})

    trainings = {"one": Trainings(), "other": reversed_run}
    one, other = (
        [trial.values for trial in search(tune(trials=10), EPOCHS, str(tmp_path / name), run).trials]
        for name, run in trainings.items()
    )
    assert one[:9] == other[:9], "three for each value are random"
    assert one[9] != other[9]


def test_hyperband_continues_the_best_from_their_checkpoints(tmp_path: Path) -> None:
    trainings = Trainings()
    found = search(tune(search="hyperband", trials=40), EPOCHS, str(tmp_path), trainings)
    continued = [trial for trial in found.trials if trial.continues]
    folders = {task.number: task.checkpoints for task in trainings.tasks}
    assert continued and found.best is not None and found.best.epochs == EPOCHS
    for trial in continued:
        before = found.trials[trial.continues - 1]
        assert before.values == trial.values and before.epochs < trial.epochs
        assert folders[trial.number] == folders[before.number]
    begun = [trial for trial in found.trials if not trial.continues]
    assert len({folders[trial.number] for trial in begun}) == len(begun)


def test_a_trial_is_compared_with_the_median_of_those_before(tmp_path: Path) -> None:
    trainings = Trainings()
    trials = search(tune(search="random", trials=20), EPOCHS, str(tmp_path), trainings).trials
    assert {trial.status for trial in trials} == {"completed", "stopped"}
    for task in trainings.tasks:
        before = trials[: task.number - 1]
        reached = [[trial.history[epoch] for trial in before if trial.epochs > epoch] for epoch in range(EPOCHS)]
        assert list(task.medians) == [median(values) for values in reached if len(values) >= 5]
    without = Trainings()
    search(tune(search="random", trials=20, prune=False), EPOCHS, str(tmp_path / "without"), without)
    assert not any(task.medians for task in without.tasks)


def test_failed_trials_do_not_end_a_search(tmp_path: Path) -> None:
    def run(tasks: Sequence[Task]) -> Iterator[Trial]:
        for task in tasks:
            if task.number == 7:
                yield trained(task)
            else:
                yield Trial(
                    number=task.number, values=task.values, status="failed", objective=None, epochs=0, seconds=0,
                    error="the loss became nan",
                )  # fmt: skip

    for search_by in ("random", "bayesian", "grid"):
        found = search(tune(search=search_by, trials=9), EPOCHS, str(tmp_path / search_by), run)
        assert len(found.trials) == 9 and found.best is not None and found.best.number == 7


def test_results_of_other_values_are_not_taken_over(tmp_path: Path) -> None:
    search(tune(search="random", trials=3), EPOCHS, str(tmp_path), Trainings())
    again = Trainings()
    search(tune(search="random", trials=3, seed=9), EPOCHS, str(tmp_path), again)
    assert again.run == [1, 2, 3]


def trial(number: int, objective: float | None, status: str = "completed") -> Trial:
    told = {"number": number, "values": {HIDDEN: [number]}, "status": status, "objective": objective}
    return Trial.model_validate(told | {"epochs": 3, "seconds": 1.0})


@pytest.mark.parametrize(("mode", "best"), [("max", 2), ("min", 4)])
def test_the_best_trial_is_one_that_was_completed(mode: str, best: int) -> None:
    several = [trial(1, 0.5), trial(2, 0.8), trial(3, 0.9, "stopped"), trial(4, 0.4), trial(5, 0.4)]
    several += [trial(6, 0.1, "stopped"), trial(7, None, "failed")]
    trials = Trials.model_validate({"objective": "val_loss", "mode": mode, "search": "random", "trials": several})
    assert trials.best is not None and trials.best.number == best


def test_the_best_values_are_written_in_the_form_of_the_file(tmp_path: Path) -> None:
    values = {
        "training.optimizer": {"name": "sgd", "momentum": 0.9},
        RATE: 1.2345678901234567e-05,
        HIDDEN: [64, 32],
        "model.head.initializer": None,
    }
    best = trial(1, 0.25).model_copy(update={"values": values})
    trials = Trials(objective="val_loss", mode="min", search="random", trials=(best,))
    write_best(str(tmp_path), trials, best)
    assert read_best(str(tmp_path)) == values
    text = (tmp_path / "best_trial.yaml").read_text()
    assert text == best_trial_text(trials, best) and text.startswith("# Trial 1 of 1: val_loss 0.25\n")
    assert YAML(typ="safe").load(text) == nested(values)
    model, training = with_values(
        Model.model_validate({"head": {"dropout": 0.1, "initializer": "zeros"}}),
        Training(epochs=3, batch_size=8),
        values,
    )
    assert model == Model.model_validate({"head": {"dropout": 0.1, "hidden": [64, 32]}})
    optimizer = {"name": "sgd", "momentum": 0.9, "learning_rate": values[RATE]}
    assert training == Training.model_validate({"epochs": 3, "batch_size": 8, "optimizer": optimizer})
