"""The commands `hubline schedule`. Nothing here imports kfp before a command needs it."""

import json
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hubline.pipeline.common_options import File, Json
from hubline.pipeline.kubeflow.connection import (
    AllowTag,
    Experiment,
    Host,
    Image,
    Namespace,
    TokenFile,
    address_of,
    connected,
    quietly,
    warn,
)
from hubline.pipeline.kubeflow.schedule_output import applied_as_json, show_applied, show_times

if TYPE_CHECKING:
    from hubline.pipeline.config import AnyFile
    from hubline.pipeline.kubeflow.schedule_plan import ScheduleSpec
    from hubline.pipeline.load import Source

app = typer.Typer(no_args_is_help=True, help="Manage the recurring run of a pipeline file on Kubeflow Pipelines.")


@app.command()
def apply(
    file: File,
    experiment: Experiment = None,
    image: Image = None,
    allow_tag: AllowTag = False,
    host: Host = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Create or update the schedule to match the file. Applying it again changes nothing.

    Example: hubline schedule apply pipeline.yaml
    """
    from hubline.pipeline.load import load

    pipeline, source = load(file)
    address, now = address_of(pipeline, host, namespace, token_file), _now()
    with quietly(as_json) as console, tempfile.TemporaryDirectory() as folder:
        package, wanted = _planned(pipeline, source, experiment, image, allow_tag, now, Path(folder), console)
        from hubline.pipeline.kubeflow import schedule

        applied = schedule.apply(connected(address), pipeline, package, wanted, now)
        show_applied(console, pipeline.name, applied)
        times = show_times(console, pipeline, now) if applied.enabled else []
    if as_json:
        print(json.dumps(applied_as_json(applied) | {"next": times}))


@app.command()
def diff(
    file: File,
    experiment: Experiment = None,
    image: Image = None,
    allow_tag: AllowTag = False,
    host: Host = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Show the changes that apply would make. Exit codes: 0 none, 1 some.

    Example: hubline schedule diff pipeline.yaml
    """
    from hubline.pipeline.load import load

    pipeline, source = load(file)
    address, now = address_of(pipeline, host, namespace, token_file), _now()
    with quietly(as_json) as console, tempfile.TemporaryDirectory() as folder:
        _, wanted = _planned(pipeline, source, experiment, image, allow_tag, now, Path(folder), console)
        from hubline.pipeline.kubeflow import schedule

        found = schedule.would_change(connected(address), pipeline, wanted)
        for each in found:
            console.print(f"{each.key}: {each.now} -> {each.wanted}", soft_wrap=True)
        if not found:
            console.print(f"{pipeline.name}: the schedule matches the file")
    if as_json:
        differences = [{"key": each.key, "scheduled": each.now, "file": each.wanted} for each in found]
        print(json.dumps({"status": "differs" if found else "same", "differences": differences}))
    raise typer.Exit(1 if found else 0)


@app.command("list")
def list_(
    file: File,
    host: Host = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """List the schedules of all pipelines in the file's installation and namespace.

    Example: hubline schedule list pipeline.yaml
    """
    from hubline.pipeline.load import load

    pipeline, _ = load(file)
    address, now = address_of(pipeline, host, namespace, token_file), _now()
    with quietly(as_json) as console:
        from hubline.pipeline.kubeflow import recurring_runs, schedule_status

        backend = pipeline.kubeflow.api.zone
        rows = [schedule_status.row(each, backend, now) for each in recurring_runs.scheduled(connected(address))]
        table = Table("pipeline", "schedule", "state", "next run", "parameters", "version", box=None, pad_edge=False)
        for row in rows:
            parameters = json.dumps(row["parameters"]) if row["parameters"] else ""
            table.add_row(row["name"], row["schedule"], row["state"], row["next"] or "none", parameters, row["version"])
        console.print(table if rows else "no schedules")
    if as_json:
        print(json.dumps({"status": "succeeded", "schedules": rows}))


@app.command()
def pause(
    file: File,
    host: Host = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Pause the schedule. An active run continues.

    Example: hubline schedule pause pipeline.yaml
    """
    from hubline.pipeline.load import load

    pipeline, _ = load(file)
    address = address_of(pipeline, host, namespace, token_file)
    with quietly(as_json) as console:
        from hubline.pipeline.kubeflow import schedule

        changed = schedule.pause(connected(address), pipeline.name)
        console.print(f"{pipeline.name}: {'paused' if changed else 'already paused'}")
    if as_json:
        print(json.dumps({"status": "paused" if changed else "unchanged", "enabled": False}))


@app.command()
def resume(
    file: File,
    catch_up: Annotated[
        bool | None,
        typer.Option(
            "--catch-up/--no-catch-up",
            help="Replay all missed runs in order, or skip them; by default as applied from the file's catch_up.",
            show_default=False,
        ),
    ] = None,
    host: Host = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Resume a paused schedule. Missed runs are skipped unless catch_up is set.

    Example: hubline schedule resume pipeline.yaml
    """
    from hubline.pipeline.load import load

    pipeline, _ = load(file)
    address, now = address_of(pipeline, host, namespace, token_file), _now()
    with quietly(as_json) as console:
        from hubline.pipeline.kubeflow import schedule

        applied = schedule.resume(connected(address), pipeline, catch_up, now)
        show_applied(console, pipeline.name, applied)
        if catch_up and pipeline.kubeflow.schedule and not pipeline.kubeflow.schedule.catch_up:
            console.print(
                "The schedule now catches up, unlike in the file. Apply the file again when it has caught up.",
                highlight=False,
            )
    if as_json:
        print(json.dumps(applied_as_json(applied)))


@app.command()
def delete(
    file: File,
    host: Host = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Delete the schedule. Its runs and the pipeline are kept.

    Example: hubline schedule delete pipeline.yaml
    """
    from hubline.pipeline.load import load

    pipeline, _ = load(file)
    address = address_of(pipeline, host, namespace, token_file)
    with quietly(as_json) as console:
        from hubline.pipeline.kubeflow import schedule

        kept = schedule.delete(connected(address), pipeline.name)
        if kept:
            console.print(
                f"{pipeline.name}: disabled, not deleted: deleting it would end its active run; delete it after that "
                "run",
                highlight=False,
            )
        else:
            console.print(f"{pipeline.name}: deleted")
    if as_json:
        print(json.dumps({"status": "paused" if kept else "deleted", "kept": list(kept)}))
    raise typer.Exit(1 if kept else 0)


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _planned(
    file: "AnyFile",
    source: "Source",
    experiment: str | None,
    image: str | None,
    allow_tag: bool,
    now: datetime,
    folder: Path,
    console: Console,
) -> tuple[Any, "ScheduleSpec"]:
    """The compiled package, and the schedule that the file describes."""
    from hubline.pipeline.kubeflow import run_parameters

    with console.status("compiling"):
        from hubline.pipeline.kubeflow import publish, schedule_plan

        schedule_plan.of(file)  # raises an error if there is none
        parameters = run_parameters.of_schedule(file, source)
        package = publish.pack(file, source, image, allow_tag, folder)
        warn(console, package.warnings)
        return package, schedule_plan.plan(file, package, experiment, now, parameters)
