"""`hubline submit` and `hubline schedule`. Nothing here imports kfp before a command needs it."""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from hubline.core.errors import RunError, UserError
from hubline.pipeline.output import NOWHERE, into_log
from hubline.pipeline.terminal import console_on

if TYPE_CHECKING:
    from hubline.pipeline.config import AnyFile
    from hubline.pipeline.kubeflow.api import Address, Client
    from hubline.pipeline.kubeflow.schedule import ApplyResult, ScheduleSpec
    from hubline.pipeline.load import Source

_PLACE = "Kubeflow Pipelines"
_TOKEN, _COOKIES = "HUBLINE_KFP_TOKEN", "HUBLINE_KFP_COOKIES"

File = Annotated[Path, typer.Argument(help="Pipeline file (YAML).", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
Image = Annotated[
    str | None, typer.Option(help="Image of all steps, NAME@sha256:…; by default kubeflow.image of the file.")
]
AllowTag = Annotated[bool, typer.Option("--allow-tag", help="Accept an image by tag. Tags can move.")]
Experiment = Annotated[
    str | None, typer.Option(help="Experiment; by default kubeflow.experiment of the file, or the pipeline's name.")
]
Host = Annotated[
    str | None,
    typer.Option(
        envvar="HUBLINE_KFP_HOST",
        help="Address of the API or the dashboard; by default kubeflow.api.host of the file.",
        rich_help_panel=_PLACE,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option(
        envvar="HUBLINE_KFP_NAMESPACE",
        help="Namespace in a multi-user installation; by default kubeflow.api.namespace of the file.",
        rich_help_panel=_PLACE,
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        help=f"File with an access token. Alternatives: a token in {_TOKEN}, session cookies in {_COOKIES}.",
        rich_help_panel=_PLACE,
    ),
]

app = typer.Typer(no_args_is_help=True, help="Manage the recurring run of a pipeline file on Kubeflow Pipelines.")


def submit(
    file: File,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Override a run parameter; repeatable."),
    ] = None,
    run_name: Annotated[
        str | None, typer.Option(help="Name of the run; by default the pipeline's name and the time.")
    ] = None,
    experiment: Experiment = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show the steps until the run ends.")] = False,
    image: Image = None,
    allow_tag: AllowTag = False,
    host: Host = None,
    namespace: Namespace = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Compile a pipeline file and run it on Kubeflow Pipelines 2.

    Exit codes: 0 submitted, or with --wait succeeded; 1 the run failed; 2 an error in the file or options.

    Example: hubline submit pipeline.yaml --parameter epochs=3 --wait
    """
    from hubline.pipeline.load import load

    pipeline, source = load(file)
    from hubline.pipeline.kubeflow import run_parameters

    given = run_parameters.of_options(pipeline, parameter or [], source.folder)
    address = _address(pipeline, host, namespace, token_file)
    with _quietly(as_json) as console, tempfile.TemporaryDirectory() as folder:
        with console.status("compiling"):
            from hubline.pipeline.kubeflow import publish, watch
            from hubline.pipeline.kubeflow import submit as submission

            package = publish.pack(pipeline, source, image, allow_tag, Path(folder))
            _warn(console, package.warnings)
            client = _connected(address)
            run = submission.submit(client, pipeline, package, given, experiment, run_name)
        console.print(f"{run.name}  {run.link}", soft_wrap=True)
        if run.report:
            console.print(f"report: {run.report}, once that step is done", soft_wrap=True)
        outcome = None
        if wait:
            steps = watch.steps_of(package.spec)
            try:
                with watch.Display(console, steps) as shown:
                    outcome = watch.wait(client, run.id, steps, shown)
            except KeyboardInterrupt:
                raise RunError(f"stopped waiting; the run continues: {run.link}") from None
            submission.show_outcome(console, client, run, outcome)
        result = submission.as_json(run, outcome)
    if as_json:
        print(json.dumps(result))
    raise typer.Exit(0 if outcome is None or outcome.state in ("SUCCEEDED", "SKIPPED") else 1)


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
    address, now = _address(pipeline, host, namespace, token_file), _now()
    with _quietly(as_json) as console, tempfile.TemporaryDirectory() as folder:
        package, wanted = _planned(pipeline, source, experiment, image, allow_tag, now, Path(folder), console)
        from hubline.pipeline.kubeflow import schedule

        applied = schedule.apply(_connected(address), pipeline, package, wanted, now)
        _show_applied(console, pipeline.name, applied)
        times = _show_times(console, pipeline, now) if applied.enabled else []
    if as_json:
        print(json.dumps(_as_json(applied) | {"next": times}))


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
    address, now = _address(pipeline, host, namespace, token_file), _now()
    with _quietly(as_json) as console, tempfile.TemporaryDirectory() as folder:
        _, wanted = _planned(pipeline, source, experiment, image, allow_tag, now, Path(folder), console)
        from hubline.pipeline.kubeflow import schedule

        found = schedule.would_change(_connected(address), pipeline, wanted)
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
    address, now = _address(pipeline, host, namespace, token_file), _now()
    with _quietly(as_json) as console:
        from hubline.pipeline.kubeflow import schedule

        backend = pipeline.kubeflow.api.zone
        rows = [schedule.row(each, backend, now) for each in schedule.scheduled(_connected(address))]
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
    address = _address(pipeline, host, namespace, token_file)
    with _quietly(as_json) as console:
        from hubline.pipeline.kubeflow import schedule

        changed = schedule.pause(_connected(address), pipeline.name)
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
    address, now = _address(pipeline, host, namespace, token_file), _now()
    with _quietly(as_json) as console:
        from hubline.pipeline.kubeflow import schedule

        applied = schedule.resume(_connected(address), pipeline, catch_up, now)
        _show_applied(console, pipeline.name, applied)
        if catch_up and pipeline.kubeflow.schedule and not pipeline.kubeflow.schedule.catch_up:
            console.print(
                "The schedule now catches up, unlike in the file. Apply the file again when it has caught up.",
                highlight=False,
            )
    if as_json:
        print(json.dumps(_as_json(applied)))


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
    address = _address(pipeline, host, namespace, token_file)
    with _quietly(as_json) as console:
        from hubline.pipeline.kubeflow import schedule

        kept = schedule.delete(_connected(address), pipeline.name)
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


# Shared by the commands


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _address(file: "AnyFile", host: str | None, namespace: str | None, token_file: Path | None) -> "Address":
    """The API's address and credentials: from the options, then the environment, then the file.

    Raises:
        UserError: If there is no address, or the token file is empty.
    """
    api = file.kubeflow.api
    if not (host := host or api.host):
        raise UserError(
            "no address of Kubeflow Pipelines. Set the address of its API or dashboard with --host, with "
            "HUBLINE_KFP_HOST "
            "or in the file: kubeflow: {api: {host: https://kubeflow.example/pipeline}}"
        )
    if not host.startswith(("http://", "https://")):
        raise UserError(f"{host}: the address must start with https:// or http://")
    token = token_file.read_text(encoding="utf-8").strip() if token_file else os.environ.get(_TOKEN, "").strip()
    if token_file and not token:
        raise UserError(f"{token_file}: the file is empty; expected a token")
    from hubline.pipeline.kubeflow.api import Address

    return Address(
        host=host.rstrip("/"),
        ui_host=api.ui_host,
        namespace=namespace or api.namespace,
        token=token or None,
        cookies=os.environ.get(_COOKIES) or None,
        ca_file=api.ca_file,
    )


def _connected(address: "Address") -> "Client":
    from hubline.pipeline.kubeflow.api import connect

    return connect(address)


@contextmanager
def _quietly(as_json: bool) -> Iterator[Console]:
    """Hides the output of kfp and TFX; exits with code 1 on a failure of the installation."""
    ended: RunError | None = None
    with into_log(NOWHERE) as (stdout, stderr):
        shown = stderr if as_json else stdout
        try:
            yield console_on(shown)
        except RunError as error:
            ended = error
            console_on(stderr).print(str(error), style="red", soft_wrap=True)
    if ended:
        if as_json:
            print(json.dumps({"status": "failed", "error": str(ended)}))
        raise typer.Exit(1)


def _warn(console: Console, warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(warning, style="yellow", soft_wrap=True)


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
        from hubline.pipeline.kubeflow import publish, schedule

        schedule.of(file)
        parameters = run_parameters.of_schedule(file, source)
        package = publish.pack(file, source, image, allow_tag, folder)
        _warn(console, package.warnings)
        return package, schedule.plan(file, package, experiment, now, parameters)


def _show_applied(console: Console, name: str, applied: "ApplyResult") -> None:
    console.print(f"{name}: {applied.action}{'' if applied.enabled else ', and paused'}")
    for each in applied.differences:
        console.print(f"  {each.key}: {each.now} -> {each.wanted}", soft_wrap=True)
    for old in applied.kept:
        console.print(
            f"  the previous schedule, {old}, is disabled. Deleting it would end its active run, so the first apply "
            "after "
            "that run deletes it. max_concurrency doesn't count that run: the new schedule may start another one "
            "next to it.",
            soft_wrap=True,
        )


def _show_times(console: Console, file: "AnyFile", now: datetime) -> list[str]:
    """Prints the next runs and their drift at daylight saving changes; returns the times."""
    from hubline.pipeline.kubeflow import schedule

    times = schedule.upcoming(schedule.of(file), now, 3)
    shown = ", ".join(f"{time:%a %Y-%m-%d %H:%M}" for time in times)
    console.print(f"next runs ({schedule.of(file).time_zone}): {shown}", soft_wrap=True)
    if drift := schedule.drift(file, now):
        console.print(f"{drift}", style="yellow", soft_wrap=True)
    return [time.isoformat() for time in times]


def _as_json(applied: "ApplyResult") -> dict[str, Any]:
    differences = [{"key": each.key, "scheduled": each.now, "file": each.wanted} for each in applied.differences]
    return {
        "status": applied.action,
        "enabled": applied.enabled,
        "recurring_run_id": applied.id,
        "differences": differences,
        "kept": list(applied.kept),
    }
