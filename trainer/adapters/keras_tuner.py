"""KerasTuner's search algorithms, without its loop: an oracle proposes values, and is told what they reached.

Private: `_set_project_dir`, without which an oracle has no folder for its own files. They are not used: what they would
restore is replayed from our own results, because they don't contain the state of the random draws.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras_tuner as kt
from pydantic import JsonValue

from hubline.trainer.config.tuning import AnyRange, Choice, Integers, Log, Tune, Uniform


@dataclass(frozen=True)
class Proposal:
    """Values to try."""

    id: str
    values: Mapping[str, JsonValue]
    epochs: int | None
    """Epoch to stop after, for `hyperband`; None to train to the end."""
    continues: str | None
    """The proposal to continue, for `hyperband`."""


class Oracle:
    """Proposes values. With the same seed and the same results, the proposals are the same."""

    def __init__(self, tune: Tune, epochs: int, folder: str) -> None:
        """Args:
        tune: The search.
        epochs: Epochs of a whole training.
        folder: A local folder for KerasTuner's own files.
        """
        self._objective, self._epochs = tune.objective, epochs
        space = kt.HyperParameters()
        for name, values in tune.ranges.items():
            _add(space, name, values)
        self._ranges = tune.ranges
        given = {
            "objective": kt.Objective(tune.objective, tune.mode),
            "hyperparameters": space,
            "allow_new_entries": False,
            "seed": tune.seed + 1,  # KerasTuner draws a seed of its own in place of 0
            "max_consecutive_failed_trials": math.inf,  # values that fail are results, too
        }
        match tune.search:
            case "hyperband":
                self._oracle = kt.oracles.HyperbandOracle(max_epochs=epochs, **given)
                self._oracle.max_trials = tune.trials
            case "grid":
                self._oracle = kt.oracles.GridSearchOracle(max_trials=tune.trials, **given)
            case "random":
                self._oracle = kt.oracles.RandomSearchOracle(max_trials=tune.trials, **given)
            case "bayesian":
                self._oracle = kt.oracles.BayesianOptimizationOracle(max_trials=tune.trials, **given)
        self._oracle.verbose = 0
        self._oracle._set_project_dir(folder, "oracle")

    def propose(self, worker: int) -> Proposal | Literal["wait", "done"]:
        """The next values.

        Args:
            worker: Distinguishes the proposals that have no result yet.

        Returns:
            The values; `wait` if the next ones depend on results that are missing; `done` after the last ones.
        """
        trial = self._oracle.create_trial(str(worker))
        if trial.status == "IDLE":
            return "wait"
        if trial.status != "RUNNING":
            return "done"
        found = trial.hyperparameters.values
        until = found.get("tuner/epochs")
        return Proposal(
            id=trial.trial_id,
            values={name: self._value(name, value) for name, value in found.items() if not name.startswith("tuner/")},
            epochs=None if until in (None, self._epochs) else until,
            continues=found.get("tuner/trial_id"),
        )

    def _value(self, name: str, value: Any) -> JsonValue:
        match self._ranges[name]:
            case Choice():
                return json.loads(value)
            case Integers():
                return int(value)  # a grid has whole floats
        return float(value)

    def tell(self, proposal: Proposal, objective: float | None) -> None:
        """Reports what a proposal reached; None if it failed."""
        trial = self._oracle.get_trial(proposal.id)
        if objective is None:
            trial.status = "FAILED"
        else:
            self._oracle.update_trial(proposal.id, {self._objective: objective})
            trial.status = "COMPLETED"
        self._oracle.end_trial(trial)


def _add(space: kt.HyperParameters, name: str, values: AnyRange) -> None:
    match values:
        case Choice(choice=choices):
            # KerasTuner knows numbers, texts and truth values, but no lists.
            space.Choice(name, [json.dumps(choice) for choice in choices], ordered=False)
        case Uniform(uniform=(low, high)):
            space.Float(name, low, high)
        case Log(log=(low, high)):
            space.Float(name, low, high, sampling="log")
        case Integers(bounds=(low, high), step=step, sampling=sampling):
            space.Int(name, low, high, step=step, sampling=sampling)
