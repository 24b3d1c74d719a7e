"""Terminal output of a run, live and at the end."""

import json
import logging
import shlex
import textwrap
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import Progress
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from hubline.artifacts.decision import Decision
from hubline.core import interruption
from hubline.core.progress import LOGGER
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.result import Result, Step
from hubline.preprocessing.feature_columns import clip_columns, image_columns, input_columns, stored_pixels
from hubline.report.contents import PAGE

_SHOWN_COLUMNS = 3
_SECONDS_BETWEEN_LINES = 60.0
"""Where the output is no terminal, between two lines about a step's progress."""


class Display(logging.Handler):
    """A live table of steps on a terminal; elsewhere a line per step and minute. Progress comes through `logging`."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console
        self._steps: list[str] = ["pin"]
        self._starting = True
        self._done: dict[str, Step] = {}
        self._current: str | None = None
        self._started = 0.0
        self._progress: dict = {}
        self._pace = _Speed()
        self._told = 0.0
        # Other output belongs in the log rather than above the table.
        self._live = Live(
            get_renderable=self._render,
            console=console,
            refresh_per_second=5,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> "Display":
        LOGGER.setLevel(logging.INFO)
        LOGGER.addHandler(self)
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        LOGGER.removeHandler(self)
        if self._console.is_terminal:
            # The live table is replaced by the final state of each step.
            self._live.stop()
            self._console.print(self._table())

    def planned(self, steps: list[str]) -> None:
        self._steps += steps
        self._starting = False

    def started(self, step: str) -> None:
        self._current, self._started, self._progress, self._pace = step, time.monotonic(), {}, _Speed()
        self._told = self._started
        if not self._console.is_terminal:
            self._console.print(f"{step} …")

    def finished(self, step: Step) -> None:
        self._done[step.id] = step
        self._current = None
        if not self._console.is_terminal:
            state = "cached" if step.cached else f"done in {step.seconds:.1f} s"
            self._console.print(f"{step.id} {state}")

    def emit(self, record: logging.LogRecord) -> None:
        """Records progress that a step reports, and prints its notes."""
        progress = getattr(record, "progress", None)
        if progress is None:
            self._console.print(f"{self._current}: {record.getMessage()}", soft_wrap=True, highlight=False)
            return
        self._progress = progress
        self._pace.add(progress)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._told >= _SECONDS_BETWEEN_LINES:
            self._told = now
            text = _progress_text(progress, self._pace.seconds_left)
            self._console.print(f"{self._current}: {text}", soft_wrap=True, highlight=False)

    def _render(self) -> RenderableType:
        if self._starting and self._current is None:
            return Group(self._table(), Spinner("dots", "starting TFX"))
        return self._table()

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column("step")
        table.add_column("state")
        table.add_column("time", justify="right")
        table.add_column("progress")
        for step in self._steps:
            table.add_row(step, *self._row(step))
        return table

    def _row(self, step: str) -> tuple[RenderableType, str, str]:
        if step in self._done:
            done = self._done[step]
            return Text("cached", "cyan") if done.cached else Text("done", "green"), f"{done.seconds:.1f} s", ""
        if step == self._current:
            elapsed = time.monotonic() - self._started
            return (
                Text("stopping" if interruption.received() else "running", "yellow"),
                f"{elapsed:.1f} s",
                _progress_text(self._progress, self._pace.seconds_left),
            )
        return Text("waiting", "dim"), "", ""


class _Speed:
    """Speed of a step from its first report on: imports, loading and tracing come before and report nothing."""

    _SECONDS = 600.0  # of reports that the speed is averaged over

    def __init__(self) -> None:
        self._progress = Progress(disable=True, speed_estimate_period=self._SECONDS, get_time=time.monotonic)
        self._task = self._progress.add_task("")

    def add(self, progress: dict) -> None:
        """Records a report."""
        self._progress.update(self._task, completed=progress["done"], total=progress["total"])

    @property
    def seconds_left(self) -> float | None:
        """None before the second report."""
        return self._progress.tasks[0].time_remaining


def _progress_text(progress: dict, seconds_left: float | None) -> str:
    """For example `1,260 of 7,560 examples, 8 s left, epoch 2, loss 0.41`."""
    if not progress:
        return ""
    done, total = progress["done"], progress["total"]
    parts = [f"{done:,.0f} of {total:,.0f} {progress['unit']}"]
    if done < total and seconds_left is not None:
        parts.append(f"{seconds_left:.0f} s left")
    parts += [_value_text(name, value, progress["unit"]) for name, value in progress["values"].items()]
    return ", ".join(parts)


def _value_text(name: str, value: float, unit: str) -> str:
    if name == "per_second":
        return f"{value:,.0f} {unit} per second"
    if name == "waiting_for_input":
        # The rest of the time is computation.
        return f"waiting for input {value:.0%} of the time"
    return f"{name} {value:.4g}"


def show_result(console: Console, result: Result, path: Path, inputs: str) -> None:
    """Prints the result of a run, and what to do next.

    Args:
        console: Where to print.
        result: The result.
        path: The pipeline file.
        inputs: Example arguments for `hubline predict`, from `asked`.
    """

    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, soft_wrap=True)

    if result.decision:
        console.print(_metrics_table(result.decision))
        for note in result.decision.notes:
            say(f"  Note: {note}", "yellow")
        for check in result.decision.checks:
            say(f"  {check.reason}", None if check.passed else "red")
    if not console.is_terminal:
        console.print(_steps_table(result))
    for warning in result.warnings:
        say(f"Warning: {warning}", "yellow")
    headline, style = {
        "succeeded": ("Done", "green"),
        "not_blessed": ("Not blessed (nothing was pushed)", "red"),
        "failed": ("Failed", "red"),
        "interrupted": ("Interrupted", "yellow"),
    }[result.status]
    where = f" in {result.failed_step}" if result.failed_step else ""
    say(f"{headline}{where} after {result.seconds:.1f} s.", style)
    if result.nothing_to_do:
        say("Nothing to do: file, data, modules, code and serving model are unchanged since the last run.")
    if result.error:
        say(result.error, "red")
    if result.best_trial:
        say(f"Best trial, to be pasted into {path} in place of tune:")
        say(textwrap.indent(result.best_trial.rstrip(), "  "))
    if result.predictions:
        say(f"{'Predicted' if result.newly_predicted else 'Predictions (unchanged)'}: {result.predictions}")
        for name, value in result.metrics.items():
            say(f"  {name} {value:.4f}")
    if result.pushed_model:
        say(f"{'Pushed' if result.newly_pushed else 'Serving (unchanged)'}: {result.pushed_model}")
    if result.published_module:
        say(f"Published module: {result.published_module}")
    if result.spans:
        say(f"Spans:  {_spans_text(result.spans, result.dates)}")
    page = Path(result.report, PAGE)
    say(f"Report: {page if page.exists() else f'{result.report} ({PAGE} is missing; see the log)'}")
    say(f"Log:    {result.log}")
    if result.pushed_model and result.status == "succeeded":
        say(f"Next:   hubline predict {shlex.quote(result.pushed_model)} {inputs}")
    elif result.status == "interrupted":
        say("Next:   run the same command again to resume from the finished steps and the last checkpoint")
    elif result.status == "not_blessed":
        say(f"Next:   train longer, try another head, or adjust evaluation in {path}")


def example_inputs(file: PipelineFile) -> str:
    """Example arguments for `hubline predict` with the file's model: images alone, or records."""
    taken = [name for name, feature in file.features.items() if feature.is_model_input or name in file.fed_features]
    columns = input_columns(file.features, taken)
    clips, pixels = clip_columns(file.features), stored_pixels(file.features)
    if columns == image_columns(file.features) and len(columns) == 1 and not clips and not pixels:
        return "IMAGE…"
    values = {column: '[{"b64": "…"}, …]' if column in clips else "…" for column in columns[:_SHOWN_COLUMNS]}
    values |= {
        column: '{"b64": "…"}' if values and stored.kind == "raw" else "[…]" for column, stored in pixels.items()
    }
    shown = ", ".join(f"{json.dumps(column, ensure_ascii=False)}: {value}" for column, value in values.items())
    return f"RECORDS.jsonl   with lines such as {{{shown}{', …' if len(columns) > _SHOWN_COLUMNS else ''}}}"


def _spans_text(spans: Sequence[int], dates: Sequence[date] | None) -> str:
    """For example `8-10`, `1-9, 5 in total` if some are missing, or `20775-20777 (2026-11-18 to 2026-11-20)`."""
    first, last = spans[0], spans[-1]
    if first == last:
        return f"{first} ({dates[0]})" if dates else f"{first}"
    missing = "" if len(spans) == last - first + 1 else f", {len(spans)} in total"
    return f"{first}-{last}{missing}" + (f" ({dates[0]} to {dates[-1]})" if dates else "")


def _metrics_table(decision: Decision) -> Table:
    """The model's metrics with 95 % intervals, next to those of the best constant prediction and of the version in
    serving.
    """
    baseline = decision.baseline.metrics if decision.baseline else {}
    titles = ["metric", "this model", "95 % interval", *(["best constant"] if baseline else []), "serving"]
    table = Table(*titles, box=None, pad_edge=False)
    for metric, value in decision.metrics.items():
        bounds = decision.intervals.get(metric)
        interval = f"{bounds[0]:.4f} to {bounds[1]:.4f}" if bounds else ""
        constant = [_shown(baseline[metric]) if metric in baseline else ""] if baseline else []
        serving = _shown(decision.serving_metrics[metric]) if decision.serving_metrics else ""
        table.add_row(metric, _shown(value), interval, *constant, serving)
    return table


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def _steps_table(result: Result) -> Table:
    table = Table("step", "time", "", box=None, pad_edge=False)
    for step in result.steps:
        table.add_row(step.id, f"{step.seconds:.1f} s", "cached" if step.cached else "")
    return table
