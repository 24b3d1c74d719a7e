"""What a search found: its trials, and the best one in the form of the pipeline file."""

import io
import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import JsonValue
from ruamel.yaml import YAML

from hubline.core import storage
from hubline.core.config_base import Section
from hubline.trainer.config.tuning import nested

TRIALS = "trials.json"
"""File of `Trials`."""

BEST, BEST_VALUES = "best_trial.yaml", "best_values.json"
"""Files of the best trial's values, in the form of the pipeline file and by dotted keys."""

Status = Literal["completed", "stopped", "failed"]


class Trial(Section):
    """A training with values of its own."""

    number: int
    """Counted from 1."""
    values: dict[str, JsonValue]
    """By key of the pipeline file."""
    status: Status
    """`stopped`: ended before its last epoch, by `prune` or by `hyperband`."""
    objective: float | None
    """Of the epoch that would be exported; None if the trial failed."""
    epochs: int
    """Epochs that were trained, including those of the trial that this one continues."""
    seconds: float
    history: tuple[float, ...] = ()
    """The objective after each epoch."""
    continues: int | None = None
    """Number of the trial that this one continues with the same values."""
    error: str | None = None


class Trials(Section):
    """The trials of a search."""

    objective: str
    mode: Literal["min", "max"]
    search: str
    trials: tuple[Trial, ...]

    @property
    def best(self) -> Trial | None:
        """The completed trial with the best objective; the first of equal ones."""
        sign = 1 if self.mode == "min" else -1
        completed = [trial for trial in self.trials if trial.status == "completed" and trial.objective is not None]
        return min(completed, key=lambda trial: sign * (trial.objective or 0.0), default=None)


def read_trials(folder: str) -> Trials:
    """Reads the trials from an artifact of the Tuner."""
    with storage.open_binary(f"{folder}/{TRIALS}") as file:
        return Trials.model_validate_json(file.read())


def write_best(folder: str, trials: Trials, best: Trial) -> None:
    """Writes the values of the best trial, for the Trainer and for people."""
    storage.write_text(f"{folder}/{BEST_VALUES}", json.dumps(best.values, indent=2))
    storage.write_text(f"{folder}/{BEST}", best_trial_text(trials, best))


def best_trial_text(trials: Trials, best: Trial) -> str:
    """The values of the best trial in the form of the pipeline file, with a comment on what they reached."""
    about = f"# Trial {best.number} of {len(trials.trials)}: {trials.objective} {best.objective:.6g}\n"
    return about + as_yaml(nested(best.values))


def read_best(folder: str) -> dict[str, Any]:
    """Reads the values of the best trial, by key of the pipeline file."""
    with storage.open_binary(f"{folder}/{BEST_VALUES}") as file:
        return json.load(file)


def as_yaml(values: Mapping[str, Any]) -> str:
    """Values as YAML: mappings as blocks, lists in one line."""
    yaml, text = YAML(), io.StringIO()
    yaml.default_flow_style = None
    yaml.dump(dict(values), text)
    return text.getvalue()
