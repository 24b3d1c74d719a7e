"""`hubline schedule`: applies the schedule of a pipeline file to Kubeflow Pipelines.

A schedule is a *recurring run* in KFP. The API cannot change one; it can only enable, disable, create and delete them.
The backend's behaviour has three consequences
(https://github.com/kubeflow/pipelines/tree/master/backend/src/crd/controller/scheduledworkflow):

- A recurring run that is enabled again makes up for missed runs: for all of them, one after another, if it catches up,
  otherwise for the last. A new one has missed nothing. So resuming without a replay means creating it anew.
- A new recurring run with a start in the past immediately makes up for the runs since then. So a past start is omitted,
  unless the schedule should catch up.
- Deleting a recurring run also deletes its active runs. So it is disabled first, and deleted once it has none.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile
from hubline.pipeline.kubeflow.api import Client
from hubline.pipeline.kubeflow.publish import Package, experiment_id, publish
from hubline.pipeline.kubeflow.recurring_runs import (
    RecurringRun,
    create,
    delete_inactive,
    roll_back,
    runs_of,
    scheduled,
    switch,
)
from hubline.pipeline.kubeflow.schedule_plan import ScheduleSpec, backend_cron, backend_zone, of
from hubline.pipeline.kubeflow.schedule_status import Difference, differences


@dataclass(frozen=True)
class ApplyResult:
    """The result of applying a file."""

    action: str
    """created, replaced, unchanged, resumed or paused."""
    enabled: bool
    id: str
    differences: tuple[Difference, ...] = ()
    kept: tuple[str, ...] = ()
    """Older recurring runs that are disabled, but have an active run that deletion would end; the next `apply` deletes
    them."""


def apply(client: Client, file: AnyFile, package: Package, wanted: ScheduleSpec, now: datetime) -> ApplyResult:
    """Makes the schedule match the file; does nothing if it already does.

    The new recurring run is created before the old one is disabled, so that no run is lost; the old one is disabled
    before the new one is enabled, so that two are never active.
    """
    ours = scheduled(client, file.name)
    newest, enabled_in_file = (ours[0] if ours else None), of(file).enabled
    on = (not ours or any(each.enabled for each in ours)) if enabled_in_file is None else enabled_in_file
    found = tuple(differences(newest, wanted)) if newest else ()
    if newest and not found and (newest.enabled or not on):
        changed = switch(client, newest, ours[1:], on)
        return ApplyResult("paused" if changed else "unchanged", on, newest.id, kept=delete_inactive(client, ours[1:]))
    version, place = publish(client, file.name, package), experiment_id(client, wanted.experiment)
    made = create(client, file.name, _begun(client, wanted, newest, backend_zone(file), now), place, version)
    try:
        switch(client, made, ours, on)
    except BaseException:
        roll_back(client, made, [each for each in ours if each.enabled])
        raise
    action = "created" if newest is None else "replaced" if found else "resumed"
    return ApplyResult(action, on, made.id, found, delete_inactive(client, ours))


def would_change(client: Client, file: AnyFile, wanted: ScheduleSpec) -> list[Difference]:
    """The changes that `apply` would make."""
    ours = scheduled(client, file.name)
    if not ours:
        return [Difference("schedule", "none", wanted.as_written)]
    enabled, enabled_in_file = any(each.enabled for each in ours), of(file).enabled
    switched = (
        [Difference("enabled", str(enabled), str(enabled_in_file))] if enabled_in_file not in (None, enabled) else []
    )
    return [*differences(ours[0], wanted), *switched]


def _begun(
    client: Client, wanted: ScheduleSpec, before: RecurringRun | None, backend: ZoneInfo, now: datetime
) -> ScheduleSpec:
    """The plan with a start that makes the backend catch up on the runs that it should, and no others."""
    if wanted.start and wanted.start > now:
        return wanted
    if not wanted.catch_up:
        return replace(wanted, start=None)
    return replace(wanted, start=_behind_since(client, before, backend, now)) if before else wanted


def _behind_since(client: Client, before: RecurringRun, backend: ZoneInfo, now: datetime) -> datetime | None:
    """Time from which to catch up: when the last run was due, or the schedule's start if there was none; None if no run
    has been missed since."""
    due = [run.scheduled_at for run in runs_of(client, before) if run.scheduled_at and run.scheduled_at.year > 1970]
    last = max(due, default=before.plan.start or before.created)
    missed = next(backend_cron(before.plan).times(backend, last), None)
    return last if missed and missed <= now else None


def _current(client: Client, name: str) -> tuple[RecurringRun, list[RecurringRun]]:
    ours = scheduled(client, name)
    if not ours:
        raise UserError(f"{client.address.host}: there is no schedule of {name}; `hubline schedule apply` creates it")
    return ours[0], ours[1:]


def pause(client: Client, name: str) -> bool:
    """Disables a schedule; returns whether it was enabled."""
    current, others = _current(client, name)
    return switch(client, current, others, on=False)


def resume(client: Client, file: AnyFile, catch_up: bool | None, now: datetime) -> ApplyResult:
    """Enables a paused schedule.

    Args:
        client: The API.
        file: The pipeline file; its schedule is not used.
        catch_up: Whether to make up for all missed runs, one after another; None to keep the applied setting.
        now: Current time.
    """
    current, others = _current(client, file.name)
    if any(each.enabled for each in (current, *others)):
        return ApplyResult("unchanged", True, current.id)
    catch_up = current.plan.catch_up if catch_up is None else catch_up
    if catch_up and current.plan.catch_up:
        switch(client, current, (), on=True)
        return ApplyResult("resumed", True, current.id)
    # A one-time catch-up needs a schedule with catch_up; otherwise the setting is kept.
    plan = _begun(client, replace(current.plan, catch_up=catch_up), current, backend_zone(file), now)
    plan = replace(plan, catch_up=catch_up or current.plan.catch_up)
    made = create(client, file.name, plan, current.experiment_id, current.at, enabled=True)
    return ApplyResult("resumed", True, made.id, kept=delete_inactive(client, [current, *others]))


def delete(client: Client, name: str) -> tuple[str, ...]:
    """Deletes a schedule; returns the IDs of recurring runs that are only disabled because they have an active run."""
    current, others = _current(client, name)
    switch(client, current, others, on=False)
    return delete_inactive(client, [current, *others])
