"""The commands `hubline plan` and `hubline why`. Nothing here imports TensorFlow."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from hubline.pipeline.common_options import File, From, Json, Root, RunName, Settings, Until
from hubline.pipeline.terminal import console_on

if TYPE_CHECKING:
    from hubline.pipeline.plan import Plan, PlannedStep
    from hubline.pipeline.why import ExplainedStep


def plan(
    file: File,
    root: Root = None,
    settings: Settings = None,
    start: From = None,
    end: Until = None,
    as_json: Json = False,
) -> None:
    """Show what a run would do: which steps are cached, which run, why, and about how long. Nothing runs.

    Example: hubline plan examples/digits/pipeline.yaml --set training.epochs=3
    """
    from hubline.pipeline.partial import Part
    from hubline.pipeline.plan import plan as plan_run

    planned = plan_run(file, root, settings or (), Part(start, end))
    if as_json:
        print(json.dumps({"status": "succeeded", **planned.model_dump(mode="json")}))
        return
    console = console_on(sys.stdout)
    table = Table("step", "", "about", "why", box=None, pad_edge=False)
    for step in planned.steps:
        about = "" if step.cached else "?" if step.seconds is None else f"{step.seconds:.1f} s"
        table.add_row(step.id, "cached" if step.cached else "runs", about, _why(step))
    console.print(table)
    console.print(_total(planned), soft_wrap=True)


def why(
    file: File,
    run: RunName = "last",
    step: Annotated[str | None, typer.Argument(help="Step to explain; by default all.", show_default=False)] = None,
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Show why the steps of a past run ran, or from which run their results were taken.

    Example: hubline why examples/digits/pipeline.yaml last Trainer
    """
    from hubline.pipeline.why import why as explain

    name, explained = explain(file, root, run, step)
    if as_json:
        steps = [each.model_dump(mode="json") for each in explained]
        print(json.dumps({"status": "succeeded", "run": name, "steps": steps}))
        return
    table = Table("step", "", "why", box=None, pad_edge=False)
    for each in explained:
        table.add_row(each.id, "cached" if each.cached else "ran", _why(each))
    console = console_on(sys.stdout)
    console.print(name, style="bold")
    console.print(table)


def _why(step: "PlannedStep | ExplainedStep") -> str:
    if step.cached:
        return f"as in run {step.run}" if step.run else "as in an earlier run"
    told = "; ".join(reason.text for reason in step.reasons)
    own = any(reason.kind in ("property", "code", "input") for reason in step.reasons)
    return f"{told} (since run {step.run})" if own and step.run else told


def _total(planned: "Plan") -> str:
    if planned.nothing_to_do:
        return "Nothing to do: file, data, modules, code and serving model are unchanged since the last run."
    running = sum(not step.cached for step in planned.steps)
    steps = f"{running} of {len(planned.steps)} steps run"
    return steps if planned.seconds is None else f"{steps}, in about {planned.seconds:.0f} s."
