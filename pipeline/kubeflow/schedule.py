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

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import kfp_server_api

from hubline.core.errors import RunError, UserError
from hubline.pipeline.config import AnyFile
from hubline.pipeline.kubeflow.api import Client, answered, named, pages
from hubline.pipeline.kubeflow.api_config import Schedule
from hubline.pipeline.kubeflow.cron import Cron, Drift, compiled, parse
from hubline.pipeline.kubeflow.parameter_definitions import with_integers
from hubline.pipeline.kubeflow.publish import Package, Version, experiment_id, publish

_MARK = "hubline schedule"
"""Prefix of the description of every recurring run created by Hubline."""


@dataclass(frozen=True)
class ScheduleSpec:
    """An existing or planned schedule."""

    cron: str
    """Six fields, in the backend's time zone."""
    said: str
    """The schedule as in the file, with its time zone."""
    start: datetime | None
    end: datetime | None
    catch_up: bool
    max_concurrency: int
    parameters: Mapping[str, Any]
    experiment: str
    version: str
    """Name of the pipeline version."""
    service_account: str | None
    """None for the installation's default."""


@dataclass(frozen=True)
class RecurringRun:
    """A recurring run created by Hubline, as returned by the API."""

    id: str
    name: str
    created: datetime
    enabled: bool
    plan: ScheduleSpec
    experiment_id: str
    at: Version


@dataclass(frozen=True)
class Difference:
    """A setting's current value, and its value in the file."""

    key: str
    now: str
    wanted: str


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


def plan(
    file: AnyFile, package: Package, experiment: str | None, now: datetime, parameters: Mapping[str, Any] | None = None
) -> ScheduleSpec:
    """The schedule that a pipeline file describes.

    Args:
        file: The pipeline file.
        package: The compiled file.
        experiment: Overrides the file's experiment.
        now: Current time. The offset between time zones is taken at the next run.
        parameters: The schedule's parameters with absolute paths, as returned by `run_parameters.of_schedule`.

    Raises:
        UserError: if the file has no schedule, or KFP cannot express it.
    """
    schedule = of(file)
    return ScheduleSpec(
        cron=to_backend(schedule, _backend(file), now),
        said=f"{schedule.cron} {schedule.time_zone}",
        start=_to_second(schedule.starts),
        end=_to_second(schedule.ends),
        catch_up=schedule.catch_up,
        max_concurrency=schedule.max_concurrency,
        parameters=schedule.parameters if parameters is None else parameters,
        experiment=experiment or file.kubeflow.experiment or file.name,
        version=package.version,
        service_account=file.kubeflow.service_account,
    )


def of(file: AnyFile) -> Schedule:
    """The schedule of a pipeline file.

    Raises:
        UserError: if it has none.
    """
    if file.kubeflow.schedule is None:
        raise UserError(
            'the file has no schedule; set kubeflow: {schedule: {cron: "0 3 * * *", time_zone: Europe/Berlin}}'
        )
    return file.kubeflow.schedule


def _backend(file: AnyFile) -> ZoneInfo:
    return file.kubeflow.api.zone


def to_backend(schedule: Schedule, backend: ZoneInfo, now: datetime) -> str:
    """Six fields in the backend's time zone, with the offset between the zones at the next run.

    Raises:
        UserError: if six fields cannot express the schedule, or there is no next run.
    """
    coming = upcoming(schedule, now, 1)
    if not coming:
        raise UserError(
            f"kubeflow.schedule: there are no more runs before its end, {schedule.end}; move or remove the end"
        )
    try:
        return compiled(parse(schedule.cron), schedule.zone, backend, coming[0])
    except ValueError as error:
        raise UserError(
            f"kubeflow.schedule.cron: '{schedule.cron}' in {schedule.time_zone} has no equivalent in {backend}, the "
            "time zone "
            f"of the backend: {error}; choose other times, or run the backend in "
            f"{schedule.time_zone} (CRON_SCHEDULE_TIMEZONE) and set kubeflow.api.time_zone"
        ) from None


def upcoming(schedule: Schedule, now: datetime, count: int) -> list[datetime]:
    """The next runs, in the schedule's time zone."""
    since = max(filter(None, (now, schedule.starts)))
    times = parse(schedule.cron).times(schedule.zone, since)
    return [time for time in islice(times, count) if schedule.ends is None or time <= schedule.ends]


def drift(file: AnyFile, now: datetime) -> Drift | None:
    """How the schedule drifts at the next clock change, if that is before its end."""
    schedule = of(file)
    found = Drift.of(parse(schedule.cron), schedule.zone, _backend(file), upcoming(schedule, now, 1)[0])
    return None if found and schedule.ends and found.since > schedule.ends else found


def _to_second(moment: datetime | None) -> datetime | None:
    return moment.astimezone(timezone.utc).replace(microsecond=0) if moment else None


# Reading


def scheduled(client: Client, name: str | None = None) -> list[RecurringRun]:
    """Recurring runs created by Hubline, newest first.

    Args:
        client: The API.
        name: Name of the pipeline; None for all pipelines.
    """
    with answered(client.address, "looking for schedules"):
        ask = partial(client.list_recurring_runs, namespace=client.namespace, filter=named(name) if name else None)
        ours = [each for each in pages(ask, "recurring_runs") if (each.description or "").startswith(_MARK)]
        found = [_scheduled(client, each) for each in ours if each.trigger and each.trigger.cron_schedule]
    # The backend's times have a resolution of seconds.
    return sorted(found, key=lambda each: (each.created, each.enabled), reverse=True)


def _scheduled(client: Client, told: Any) -> RecurringRun:
    cron, reference = told.trigger.cron_schedule, told.pipeline_version_reference
    return RecurringRun(
        id=told.recurring_run_id,
        name=told.display_name,
        created=told.created_at,
        enabled=told.status == "ENABLED",
        plan=ScheduleSpec(
            cron=cron.cron,
            said=told.description.partition(": ")[2],
            start=_to_second(cron.start_time),
            end=_to_second(cron.end_time),
            catch_up=not told.no_catchup,
            max_concurrency=int(told.max_concurrency),
            parameters=(told.runtime_config and told.runtime_config.parameters) or {},
            experiment=_name(partial(client.get_experiment, told.experiment_id)),
            version=_name(partial(client.get_pipeline_version, reference.pipeline_id, reference.pipeline_version_id)),
            service_account=told.service_account,
        ),
        experiment_id=told.experiment_id,
        at=Version(reference.pipeline_id, reference.pipeline_version_id),
    )


def _name(ask: Callable[[], Any]) -> str:
    """Display name of a resource, which may have been deleted."""
    try:
        return ask().display_name
    except kfp_server_api.ApiException as error:
        if error.status == 404:
            return "deleted"
        raise


def differences(existing: RecurringRun, wanted: ScheduleSpec) -> list[Difference]:
    """Settings that differ between a schedule and the file."""
    now, then = _ahead(existing.plan, existing.created), _ahead(wanted, existing.created)
    keys = ["cron", "start", "end", "catch_up", "max_concurrency", "parameters", "experiment", "version"]
    if wanted.service_account:  # without one in the file, the backend may report its default
        keys.append("service_account")
    return [
        Difference(key, before, after)
        for key in keys
        for before, after in [(_shown(now, key), _shown(then, key))]
        if before != after
    ]


def _ahead(plan: ScheduleSpec, made: datetime) -> ScheduleSpec:
    """Start times in the past are ignored."""
    return replace(plan, start=None) if plan.start and plan.start <= made else plan


def _shown(plan: ScheduleSpec, key: str) -> str:
    value = getattr(plan, key)
    if key == "cron":
        return f"{value} (for {plan.said})"
    if isinstance(value, datetime):
        return _text(value) or ""
    if isinstance(value, Mapping):
        return json.dumps(with_integers(value), sort_keys=True) if value else "none"
    return "none" if value is None else str(value)


def row(each: RecurringRun, backend: ZoneInfo, now: datetime) -> dict[str, Any]:
    """A schedule for `hubline schedule list`, with the next run as the backend will start it."""
    cron, _, zone = each.plan.said.rpartition(" ")
    since = max(filter(None, (now, each.plan.start)))
    coming = next(_fields(each.plan).times(backend, since), None)
    if not each.enabled or (each.plan.end and coming and coming > each.plan.end):
        coming = None
    drifted = coming is not None and coming != next(parse(cron).times(ZoneInfo(zone), since), None)
    return {
        "name": each.name,
        "schedule": each.plan.said,
        "cron": each.plan.cron,
        "state": "paused" if not each.enabled else "drifted; apply it again" if drifted else "on",
        "next": f"{coming.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M}" if coming else None,
        "parameters": dict(each.plan.parameters),
        "version": each.plan.version,
        "experiment": each.plan.experiment,
        "catch_up": each.plan.catch_up,
        "max_concurrency": each.plan.max_concurrency,
        "recurring_run_id": each.id,
    }


# Changes


def apply(client: Client, file: AnyFile, package: Package, wanted: ScheduleSpec, now: datetime) -> ApplyResult:
    """Makes the schedule match the file; does nothing if it already does.

    The new recurring run is created before the old one is disabled, so that no run is lost; the old one is disabled
    before the new one is enabled, so that two are never active.
    """
    ours = scheduled(client, file.name)
    newest, said = (ours[0] if ours else None), of(file).enabled
    on = (not ours or any(each.enabled for each in ours)) if said is None else said
    found = tuple(differences(newest, wanted)) if newest else ()
    if newest and not found and (newest.enabled or not on):
        changed = _switch(client, newest, ours[1:], on)
        return ApplyResult("paused" if changed else "unchanged", on, newest.id, kept=_clear(client, ours[1:]))
    version, place = publish(client, file.name, package), experiment_id(client, wanted.experiment)
    made = _make(client, file.name, _begun(client, wanted, newest, _backend(file), now), place, version)
    try:
        _switch(client, made, ours, on)
    except BaseException:
        _back(client, made, [each for each in ours if each.enabled])
        raise
    action = "created" if newest is None else "replaced" if found else "resumed"
    return ApplyResult(action, on, made.id, found, _clear(client, ours))


def would_change(client: Client, file: AnyFile, wanted: ScheduleSpec) -> list[Difference]:
    """The changes that `apply` would make."""
    ours = scheduled(client, file.name)
    if not ours:
        return [Difference("schedule", "none", wanted.said)]
    enabled, said = any(each.enabled for each in ours), of(file).enabled
    switched = [Difference("enabled", str(enabled), str(said))] if said not in (None, enabled) else []
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
    due = [run.scheduled_at for run in _runs(client, before) if run.scheduled_at and run.scheduled_at.year > 1970]
    last = max(due, default=before.plan.start or before.created)
    missed = next(_fields(before.plan).times(backend, last), None)
    return last if missed and missed <= now else None


def _fields(plan: ScheduleSpec) -> Cron:
    """The schedule in the backend's time zone."""
    return parse(plan.cron.partition(" ")[2])


def _runs(client: Client, of_: RecurringRun) -> Iterator[Any]:
    with answered(client.address, "looking for runs of the schedule"):
        ask = partial(client.list_runs, experiment_id=of_.experiment_id, sort_by="created_at desc")
        yield from (run for run in pages(ask, "runs") if run.recurring_run_id == of_.id)


def _make(
    client: Client, name: str, plan: ScheduleSpec, experiment: str, version: Version, enabled: bool = False
) -> RecurringRun:
    with answered(client.address, "making the schedule"):
        made = client.create_recurring_run(
            experiment_id=experiment,
            job_name=name,
            description=f"{_MARK}: {plan.said}",
            start_time=_text(plan.start),
            end_time=_text(plan.end),
            cron_expression=plan.cron,
            max_concurrency=plan.max_concurrency,
            no_catchup=not plan.catch_up,
            params=dict(plan.parameters),
            pipeline_id=version.pipeline_id,
            version_id=version.version_id,
            enabled=enabled,
            service_account=plan.service_account,
        )
    return RecurringRun(made.recurring_run_id, name, made.created_at, enabled, plan, experiment, version)


def _text(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _switch(client: Client, chosen: RecurringRun, others: Sequence[RecurringRun], on: bool) -> bool:
    """Disables every other recurring run, then enables or disables the chosen one; returns whether anything changed."""
    wrong = [each for each in others if each.enabled]
    with answered(client.address, "switching the schedule"):
        for each in wrong:
            client.disable_recurring_run(each.id)
        if chosen.enabled != on:
            (client.enable_recurring_run if on else client.disable_recurring_run)(chosen.id)
    return bool(wrong) or chosen.enabled != on


def _back(client: Client, made: RecurringRun, before: Sequence[RecurringRun]) -> None:
    """Rolls back a change that failed halfway."""
    try:
        with answered(client.address, "putting back the schedule that was"):
            client.disable_recurring_run(made.id)
            for each in before:
                client.enable_recurring_run(each.id)
            client.delete_recurring_run(made.id)
    except UserError as error:
        names = ", ".join(each.id for each in before) or "none"
        raise RunError(
            f"{error}\nthe schedule is only partly changed and may be disabled; check `hubline schedule list`. "
            f"Previously enabled: {names}; new: {made.id}"
        ) from None


def _clear(client: Client, old: Sequence[RecurringRun]) -> tuple[str, ...]:
    """Deletes disabled recurring runs, except those with an active run; returns the IDs of these."""
    kept = []
    for each in old:
        if any(run.state in _UNDER_WAY for run in _runs(client, each)):
            kept.append(each.id)
            continue
        with answered(client.address, "deleting the schedule that was"):
            try:
                client.delete_recurring_run(each.id)
            except kfp_server_api.ApiException as error:
                if error.status != 404:  # deleted by an earlier try whose response was lost
                    raise
    return tuple(kept)


_UNDER_WAY = (None, "", "RUNTIME_STATE_UNSPECIFIED", "PENDING", "RUNNING", "CANCELING", "PAUSED")


def _current(client: Client, name: str) -> tuple[RecurringRun, list[RecurringRun]]:
    ours = scheduled(client, name)
    if not ours:
        raise UserError(f"{client.address.host}: there is no schedule of {name}; `hubline schedule apply` creates it")
    return ours[0], ours[1:]


def pause(client: Client, name: str) -> bool:
    """Disables a schedule; returns whether it was enabled."""
    current, others = _current(client, name)
    return _switch(client, current, others, on=False)


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
        _switch(client, current, (), on=True)
        return ApplyResult("resumed", True, current.id)
    # A one-time catch-up needs a schedule with catch_up; otherwise the setting is kept.
    plan = _begun(client, replace(current.plan, catch_up=catch_up), current, _backend(file), now)
    plan = replace(plan, catch_up=catch_up or current.plan.catch_up)
    made = _make(client, file.name, plan, current.experiment_id, current.at, enabled=True)
    return ApplyResult("resumed", True, made.id, kept=_clear(client, [current, *others]))


def delete(client: Client, name: str) -> tuple[str, ...]:
    """Deletes a schedule; returns the IDs of recurring runs that are only disabled because they have an active run."""
    current, others = _current(client, name)
    _switch(client, current, others, on=False)
    return _clear(client, [current, *others])
