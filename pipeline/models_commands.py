"""The commands `hubline models`. Nothing here imports TensorFlow."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from hubline.core.errors import UserError
from hubline.pipeline.common_options import Json
from hubline.pipeline.terminal import console_on

if TYPE_CHECKING:
    from hubline.serving.promotion import Change

app = typer.Typer(no_args_is_help=True, help="Look at the versions in a serving folder, and change which one serves.")

Folder = Annotated[str, typer.Argument(metavar="DIR", help="Serving folder: a path, or a URL of a store.")]
Version = Annotated[int, typer.Argument(metavar="VERSION", min=0)]
VersionOrDigest = Annotated[
    str, typer.Argument(metavar="VERSION", help="A version, or the first digits of a waiting model's digest.")
]
Reason = Annotated[str, typer.Option(help="Why; recorded in the folder's history.")]


@app.command("list")
def list_(folder: Folder, as_json: Json = False) -> None:
    """List the versions: state, time of the push, metrics and digest; and the models that wait for approval.

    Example: hubline models list examples/digits/serving
    """
    from hubline.pipeline.models import summaries, waiting_summaries

    rows, waiting = summaries(folder), waiting_summaries(folder)
    if as_json:
        print(json.dumps({"status": "succeeded", "versions": rows, "waiting": waiting}))
        return
    table = Table("version", "state", "since", "metrics", "digest", box=None, pad_edge=False)
    for row in rows:
        table.add_row(str(row["version"]), ", ".join(row["states"]), row["at"], _metrics(row), row["digest"][:12])
    console = console_on(sys.stdout)
    console.print(table if rows else f"{folder}: no versions yet", soft_wrap=not rows)
    if waiting:
        table = Table("waits for approval", "state", "since", "metrics", "compared with", box=None, pad_edge=False)
        for row in waiting:
            compared = "no version" if row["compared_with"] is None else f"version {row['compared_with']}"
            table.add_row(row["digest"][:12], ", ".join(row["states"]), row["at"][:19], _metrics(row), compared)
        console.print("", table)


def _metrics(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in row["metrics"].items())


@app.command()
def show(folder: Folder, version: VersionOrDigest, as_json: Json = False) -> None:
    """Show a version, or a model that waits for approval: its model card, its files, and what happened to it.

    Example: hubline models show examples/digits/serving 1
    """
    from hubline.pipeline.models import details, essentials, told

    found = details(folder, version)
    if as_json:
        events = [event.model_dump(mode="json") for event in found["events"]]
        card = found["card"] and found["card"].model_dump(mode="json")
        print(json.dumps({"status": "succeeded", **found, "card": card, "events": events}))
        return
    console, sizes = console_on(sys.stdout), found["files"].values()
    console.print(f"{found['path']}\nsha256 {found['digest']}", highlight=False)
    console.print(f"{len(sizes)} files, {sum(sizes):,} bytes", highlight=False)
    if found["card"]:
        for line in essentials(found["card"]):
            console.print(line, highlight=False, markup=False)
        console.print(f"model card: {found['card_page']}", highlight=False)
    if found["readme"]:
        console.print(f"how to ask it: {found['readme']}", highlight=False)
    for event in found["events"]:
        console.print(told(event), highlight=False)


@app.command()
def diff(folder: Folder, first: VersionOrDigest, second: VersionOrDigest, as_json: Json = False) -> None:
    """Show what differs between two versions, or models that wait for approval: metrics, model cards and files.

    Example: hubline models diff examples/digits/serving 1 2
    """
    from hubline.pipeline.models import differences

    found = differences(folder, (first, second))
    if as_json:
        print(json.dumps({"status": "succeeded", **found}))
        return
    table = Table("", first, second, box=None, pad_edge=False)
    for name, values in found["metrics"].items():
        table.add_row(name, *("" if value is None else f"{value:.6g}" for value in values))
    console = console_on(sys.stdout)
    if found["metrics"]:
        console.print(table)
    for name, (before, after) in found["card"].items():
        console.print(f"{name}: {before} -> {after}", highlight=False, markup=False)
    for name, change in found["files"].items():
        console.print(f"{name}: {change}", highlight=False)
    if not found["files"]:
        console.print("the files are the same")


@app.command()
def rollback(
    folder: Folder,
    reason: Reason,
    to: Annotated[int | None, typer.Option(metavar="VERSION", help="Version to return to.")] = None,
    as_json: Json = False,
) -> None:
    """Have an older version serve again; the one that serves is not pushed again by a later run.

    The older version is copied as the next number, because servers load the highest. By default, it is the newest one
    with another model that was not rolled back itself.

    Example: hubline models rollback examples/digits/serving --reason "wrong labels in March"
    """
    from hubline.serving import promotion

    _show_change(folder, promotion.rollback(folder, _checked(reason), to), as_json)


@app.command()
def promote(folder: Folder, version: Version, reason: Reason, as_json: Json = False) -> None:
    """Have a version serve, whether it was rolled back or is older than the one that serves.

    Example: hubline models promote examples/digits/serving 3 --reason "the labels were right after all"
    """
    from hubline.serving import promotion

    _show_change(folder, promotion.promote(folder, version, _checked(reason)), as_json)


@app.command()
def approve(
    folder: Folder,
    reason: Reason,
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="First digits of the model's digest; needed if several wait."),
    ] = None,
    override: Annotated[bool, typer.Option("--override", help="Push a model that the verdict refused.")] = False,
    by: Annotated[str, typer.Option(help="Who approves; by default the user and the machine.")] = "",
    as_json: Json = False,
) -> None:
    """Push a model that waits for approval.

    Models wait where the pipeline file says `serving: {approval: required}`. `hubline models list` shows them. Who
    approved, when and why is recorded in the folder's history and on the model card. A model isn't pushed over another
    version than the one that it was compared with.

    Example: hubline models approve examples/digits/serving --reason "checked the confusion matrix"
    """
    from hubline.serving import approval, waiting

    found = waiting.find(folder, model)
    done = approval.approve(folder, found, _checked(reason), by, override)
    if as_json:
        told = {"before": done.before, "version": done.version, "digest": done.digest}
        print(json.dumps({"status": "succeeded", **told}))
        return
    instead = "" if done.before is None else f" instead of {done.before}"
    console_on(sys.stdout).print(f"{folder}: version {done.version} ({found.name}) serves{instead}", highlight=False)


@app.command()
def pin(folder: Folder, version: Version, reason: Reason = "", as_json: Json = False) -> None:
    """Spare a version when old versions are removed.

    Example: hubline models pin examples/digits/serving 1 --reason "reference for the audit"
    """
    _pin(folder, version, True, reason, as_json)


@app.command()
def unpin(folder: Folder, version: Version, reason: Reason = "", as_json: Json = False) -> None:
    """Spare a version no longer.

    Example: hubline models unpin examples/digits/serving 1
    """
    _pin(folder, version, False, reason, as_json)


@app.command()
def prune(
    folder: Folder,
    keep: Annotated[int, typer.Option(min=1, help="Number of the newest versions to keep.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
    as_json: Json = False,
) -> None:
    """Remove old versions, but never the one that serves, pinned ones, or the newest --keep.

    Versions that were rolled back don't count among the newest. Of the models that wait for approval, the newest
    --keep stay, unless they were compared with a version that doesn't serve any more.

    Example: hubline models prune examples/digits/serving --keep 5 --dry-run
    """
    from hubline.serving import retention

    found = retention.to_prune(folder, keep) if dry_run else retention.prune(folder, keep)
    if as_json:
        removed = [] if dry_run else found.versions
        told = {"removed": removed, "to_remove": found.versions, "waiting": found.waiting}
        print(json.dumps({"status": "succeeded", **told}))
        return
    names = [*map(str, found.versions), *(f"{digest[:12]} (waiting)" for digest in found.waiting)]
    verb = "would be removed" if dry_run else "removed"
    console_on(sys.stdout).print(f"{verb}: {', '.join(names)}" if names else "nothing to remove", highlight=False)


def _pin(folder: str, version: int, is_pinned: bool, reason: str, as_json: bool) -> None:
    from hubline.serving import promotion

    promotion.pin(folder, version, is_pinned, reason)
    if as_json:
        print(json.dumps({"status": "succeeded", "version": version, "pinned": is_pinned}))
        return
    state = "is pinned" if is_pinned else "is not pinned any more"
    console_on(sys.stdout).print(f"{folder}: version {version} {state}", highlight=False)


def _show_change(folder: str, change: "Change", as_json: bool) -> None:
    if as_json:
        told = {"before": change.before, "source": change.source, "version": change.version}
        print(json.dumps({"status": "succeeded", **told}))
        return
    console_on(sys.stdout).print(
        f"{folder}: version {change.version}, a copy of version {change.source}, serves instead of {change.before}",
        highlight=False,
    )


def _checked(reason: str) -> str:
    if not reason.strip():
        raise UserError("--reason: must say why; others find it in the history of the folder")
    return reason
