"""What the commands `hubline schedule` show of a schedule."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from hubline.pipeline.config import AnyFile
    from hubline.pipeline.kubeflow.schedule import ApplyResult


def show_applied(console: Console, name: str, applied: "ApplyResult") -> None:
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


def show_times(console: Console, file: "AnyFile", now: datetime) -> list[str]:
    """Prints the next runs and their drift at daylight saving changes; returns the times."""
    from hubline.pipeline.kubeflow import schedule_plan

    times = schedule_plan.upcoming(schedule_plan.of(file), now, 3)
    shown = ", ".join(f"{time:%a %Y-%m-%d %H:%M}" for time in times)
    console.print(f"next runs ({schedule_plan.of(file).time_zone}): {shown}", soft_wrap=True)
    if drift := schedule_plan.drift(file, now):
        console.print(f"{drift}", style="yellow", soft_wrap=True)
    return [time.isoformat() for time in times]


def applied_as_json(applied: "ApplyResult") -> dict[str, Any]:
    differences = [{"key": each.key, "scheduled": each.now, "file": each.wanted} for each in applied.differences]
    return {
        "status": applied.action,
        "enabled": applied.enabled,
        "recurring_run_id": applied.id,
        "differences": differences,
        "kept": list(applied.kept),
    }
