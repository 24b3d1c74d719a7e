"""The commands `hubline runs`. Nothing here imports TensorFlow."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hubline.pipeline.common_options import File, Json, Root, RunName
from hubline.pipeline.terminal import console_on

if TYPE_CHECKING:
    from hubline.pipeline.runs import Run

app = typer.Typer(no_args_is_help=True, help="List and compare the runs of a pipeline file on this machine.")


@app.command("list")
def list_(
    file: File,
    most: Annotated[int, typer.Option("--last", min=1, help="Number of runs to show, the newest.")] = 20,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """List the runs of a pipeline file: state, duration, metrics and served version.

    Example: hubline runs list examples/digits/pipeline.yaml --last 5
    """
    from hubline.pipeline.runs import runs_of

    found = runs_of(file, root)[-most:]
    if as_json:
        print(json.dumps({"status": "succeeded", "runs": [_summary(run) for run in found]}))
        return
    table = Table("run", "status", "seconds", "steps run", "metrics", "served version", box=None, pad_edge=False)
    for run in found:
        table.add_row(run.name, *_row(run))
    console = console_on(sys.stdout)
    console.print(table if found else f"{file}: no runs yet; hubline run starts one")


@app.command()
def show(file: File, run: RunName = "last", root: Root = None, as_json: Json = False) -> None:
    """Show the result of a run: checks, steps, warnings, report and log.

    Example: hubline runs show examples/digits/pipeline.yaml last-1
    """
    from hubline.pipeline.result_display import show_result, steps_table
    from hubline.pipeline.runs import run_named, runs_of

    found = run_named(runs_of(file, root), run)
    if as_json:
        result = found.result.model_dump(mode="json") if found.result else None
        print(json.dumps({"status": "succeeded", "run": found.name, "result": result}))
        return
    console = console_on(sys.stdout)
    console.print(found.name, style="bold")
    if found.result:
        if console.is_terminal:  # elsewhere, the result has this table
            console.print(steps_table(found.result))
        show_result(console, found.result, file, "INPUT…")
    else:
        why = "is still active, or was killed" if found.status == "unfinished" else "has a result of another version"
        console.print(f"The run {why}. Log: {found.folder / 'run.log'}", soft_wrap=True)


@app.command()
def diff(file: File, before: RunName, after: RunName = "last", root: Root = None, as_json: Json = False) -> None:
    """Show how two runs differ: in the pipeline file, data, modules, code, package versions and metrics.

    Example: hubline runs diff examples/digits/pipeline.yaml last-1 last
    """
    from hubline.pipeline.runs import differences, run_named, runs_of

    runs = runs_of(file, root)
    first, second = run_named(runs, before), run_named(runs, after)
    found = differences(first, second)
    if as_json:
        listed = [{"key": each.key, "before": each.before, "after": each.after} for each in found]
        print(json.dumps({"status": "succeeded", "before": first.name, "after": second.name, "differences": listed}))
        return
    table = Table("", first.name, second.name, box=None, pad_edge=False)
    for each in found:
        table.add_row(each.key, _shown(each.before), _shown(each.after))
    console_on(sys.stdout).print(table if found else f"{first.name} and {second.name} don't differ")


def _summary(run: "Run") -> dict[str, Any]:
    result = run.result
    return {
        "name": run.name,
        "began": run.began.isoformat(),
        "status": run.status,
        "seconds": result.seconds if result else None,
        "metrics": result.metrics if result else {},
        "pushed_model": result.pushed_model if result else None,
        "newly_pushed": bool(result and result.newly_pushed),
        "report": result.report if result else None,
    }


def _row(run: "Run") -> tuple[str, ...]:
    result = run.result
    if result is None:
        return run.status, "", "", "", ""
    steps = f"{sum(not step.cached for step in result.steps)} of {len(result.steps)}"
    metrics = ", ".join(f"{name} {_shown(value)}" for name, value in result.metrics.items())
    version = Path(result.pushed_model).name if result.pushed_model else ""
    return run.status, f"{result.seconds:.1f}", steps, metrics, f"{version}{' (new)' if result.newly_pushed else ''}"


def _shown(value: Any) -> str:
    from hubline.core.number_format import shown

    if value is None:
        return "—"
    return shown(value) if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
