"""What a run prints at its end: the verdict, where the outputs are, and what to do next."""

import json
import shlex
import textwrap
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from hubline.artifacts.decision import Decision
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.result import Result
from hubline.preprocessing.feature_columns import (
    clip_columns,
    image_columns,
    input_columns,
    sound_columns,
    stored_pixels,
)
from hubline.report.contents import PAGE

_SHOWN_COLUMNS = 3


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
    if checked := result.serving_check:
        say(f"Serving check {'passed' if checked.passed else 'failed'}:", None if checked.passed else "red")
        for sentence in checked.summary:
            say(f"  {sentence}", "red" if sentence in checked.faults else None)
    if not console.is_terminal:
        console.print(steps_table(result))
    for warning in result.warnings:
        say(f"Warning: {warning}", "yellow")
    say(*_headline(result))
    if result.nothing_to_do:
        say("Nothing to do: file, data, modules, code and serving model are unchanged since the last run.")
    if result.error:
        say(result.error, "red")
    if result.partial:
        say(result.partial)
    if result.best_trial:
        say(f"Best trial, to be pasted into {path} in place of tune:")
        say(textwrap.indent(result.best_trial.rstrip(), "  "))
    if result.predictions:
        say(f"{'Predicted' if result.newly_predicted else 'Predictions (unchanged)'}: {result.predictions}")
        for name, value in result.metrics.items():
            say(f"  {name} {value:.4f}")
    if result.pushed_model:
        say(f"{'Pushed' if result.newly_pushed else 'Serving (unchanged)'}: {result.pushed_model}")
    if result.waiting_model:
        say(f"Waits for approval: {result.waiting_model}", "yellow")
    if result.published_module:
        say(f"Published module: {result.published_module}")
    if result.spans:
        say(f"Spans:  {_spans_text(result.spans, result.dates)}")
    say(_where_the_report_is(result))
    say(f"Log:    {result.log}")
    if result.approve_command and result.status == "succeeded":
        say(f"Next:   {result.approve_command}")
    elif result.pushed_model and result.status == "succeeded":
        say(f"Next:   hubline predict {shlex.quote(result.pushed_model)} {inputs}")
    elif result.status == "interrupted":
        say("Next:   run the same command again to resume from the finished steps and the last checkpoint")
    elif result.status == "not_blessed" and result.serving_check and not result.serving_check.passed:
        say(f"Next:   see the section Serving check of the report, or adjust serving.check in {path}")
    elif result.status == "not_blessed":
        say(f"Next:   train longer, try another head, or adjust evaluation in {path}")
        if result.approve_command:
            say(f"Or, against the verdict: {result.approve_command}")


def show_faults(console: Console, result: Result) -> None:
    """Prints a run's warnings and, unless it succeeded, why and where to look; nothing else."""
    said: list[tuple[str, str | None]] = [(f"Warning: {warning}", "yellow") for warning in result.warnings]
    if result.status != "succeeded":
        said.append(_headline(result))
        checks = result.decision.checks if result.decision else ()
        said += [(f"  {check.reason}", "red") for check in checks if not check.passed]
        said += [(f"  {fault}", "red") for fault in (result.serving_check.faults if result.serving_check else ())]
        said += [(result.error, "red")] if result.error else []
        said += [(_where_the_report_is(result), None), (f"Log:    {result.log}", None)]
    for text, style in said:
        console.print(text, style=style, soft_wrap=True)


def _where_the_report_is(result: Result) -> str:
    page = Path(result.report, PAGE)
    return f"Report: {page if page.exists() else f'{result.report} ({PAGE} is missing; see the log)'}"


def _headline(result: Result) -> tuple[str, str]:
    """How a run ended, and the style of that line."""
    headline, style = {
        "succeeded": ("Done", "green"),
        "not_blessed": ("Not blessed (nothing was pushed)", "red"),
        "failed": ("Failed", "red"),
        "interrupted": ("Interrupted", "yellow"),
    }[result.status]
    where = f" in {result.failed_step}" if result.failed_step else ""
    return f"{headline}{where} after {result.seconds:.1f} s.", style


def example_inputs(file: PipelineFile) -> str:
    """Example arguments for `hubline predict` with the file's model: images alone, or records."""
    taken = [name for name, feature in file.features.items() if feature.is_model_input or name in file.fed_features]
    columns = input_columns(file.features, taken)
    clips, pixels = clip_columns(file.features), stored_pixels(file.features)
    if columns == image_columns(file.features) and len(columns) == 1 and not clips and not pixels:
        return "IMAGE…"
    values = {column: '[{"b64": "…"}, …]' if column in clips else "…" for column in columns[:_SHOWN_COLUMNS]}
    values |= {column: '{"b64": "…"}' for column in sound_columns(file.features) if column in values}
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


def steps_table(result: Result) -> Table:
    """The steps with what each took and used."""
    table = Table("step", "time", "", "processor", "memory", "read", "written", box=None, pad_edge=False)
    for step in result.steps:
        used = step.usage
        sizes = (used.peak_memory, used.read_bytes, used.written_bytes) if used else (None, None, None)
        table.add_row(
            step.id,
            f"{step.seconds:.1f} s",
            "cached" if step.cached else "",
            f"{used.cpu_seconds:.1f} s" if used else "",
            *("" if size is None else decimal(size) for size in sizes),
        )
    return table
