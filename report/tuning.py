"""The section on a search: a table of its trials, and charts of what they reached."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from pydantic import JsonValue

from hubline.report.charts import figure_of, shortened
from hubline.trainer.tuning.results import Trial, Trials, best_trial_text

_COLOURS = {"completed": "#3b82f6", "stopped": "#94a3b8"}


def rows(trials: Trials) -> list[dict[str, Any]]:
    """One row per trial, the best objective first, then those without one."""
    sign = 1 if trials.mode == "min" else -1
    ranks = {"completed": 0, "stopped": 1, "failed": 2}
    ordered = sorted(trials.trials, key=lambda trial: (ranks[trial.status], sign * (trial.objective or 0.0)))
    return [
        trial.model_dump()
        | {"shown": [value_text(trial.values[key]) for key in keys(trials)], "is_best": trial == trials.best}
        for trial in ordered
    ]


def keys(trials: Trials) -> list[str]:
    """The keys that were tuned."""
    return list(trials.trials[0].values)


def frozen(trials: Trials) -> str:
    """The best trial's values in the form of the pipeline file; empty if no trial was completed."""
    return "" if trials.best is None else best_trial_text(trials, trials.best)


def value_text(value: JsonValue) -> str:
    """A value in a table."""
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False).strip('"')


def figures(trials: Trials) -> dict[str, go.Figure]:
    """The objective by trial, and by the value of each key."""
    reached = [trial for trial in trials.trials if trial.objective is not None]
    if not reached:
        return {}
    by_trial = {"trials": _by_trial(trials, reached)}
    return by_trial | {f"tuned-{number}": _by_value(trials, reached, key) for number, key in enumerate(keys(trials))}


def _by_trial(trials: Trials, reached: Sequence[Trial]) -> go.Figure:
    best, so_far = None, []
    for trial in reached:
        if trial.status == "completed" and trial.objective is not None:
            better = min if trials.mode == "min" else max
            best = trial.objective if best is None else better(best, trial.objective)
        so_far.append(best)
    numbers = [trial.number for trial in reached]
    line = go.Scatter(
        x=numbers, y=so_far, mode="lines", name="best so far", line={"color": "#10b981", "width": 2, "shape": "hv"},
    )  # fmt: skip
    return figure_of(
        [line, *_points(trials, reached, numbers)], height=320, showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": "trial"}, yaxis={"title": shortened(trials.objective)},
    )  # fmt: skip


def _by_value(trials: Trials, reached: Sequence[Trial], key: str) -> go.Figure:
    values = [trial.values[key] for trial in reached]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    axis: dict[str, Any] = {"title": shortened(key)}
    if len(numbers) < len(values):
        return _figure(trials, reached, [value_text(value) for value in values], axis | {"type": "category"})
    if min(numbers) > 0 and max(numbers) >= 50 * min(numbers):
        axis["type"] = "log"
    return _figure(trials, reached, numbers, axis)


def _figure(trials: Trials, reached: Sequence[Trial], places: Sequence[Any], axis: Mapping[str, Any]) -> go.Figure:
    points = _points(trials, reached, places)
    return figure_of(points, height=280, showlegend=False, xaxis=axis, yaxis={"title": shortened(trials.objective)})


def _points(trials: Trials, reached: Sequence[Trial], places: Sequence[Any]) -> list[go.Scatter]:
    """One trace of points for each status."""
    pairs = list(zip(reached, places, strict=True))
    return [
        go.Scatter(
            x=[place for trial, place in pairs if trial.status == status],
            y=[trial.objective for trial, _ in pairs if trial.status == status],
            customdata=[trial.number for trial, _ in pairs if trial.status == status],
            mode="markers", name=status, marker={"size": 8, "color": colour},
            hovertemplate="trial %{customdata}: %{x}, %{y:.4g}<extra></extra>",
        )
        for status, colour in _COLOURS.items()
        if any(trial.status == status for trial, _ in pairs)
    ]  # fmt: skip
