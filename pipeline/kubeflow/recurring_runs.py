"""Recurring runs of Kubeflow Pipelines that Hubline created: listing, creating, switching and deleting them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import kfp_server_api

from hubline.core.errors import RunError, UserError
from hubline.pipeline.kubeflow.api import Client, answered, named, pages
from hubline.pipeline.kubeflow.publish import Version
from hubline.pipeline.kubeflow.schedule_plan import ScheduleSpec, api_time, to_second

_MARK = "hubline schedule"
"""Prefix of the description of every recurring run created by Hubline."""

_UNDER_WAY = (None, "", "RUNTIME_STATE_UNSPECIFIED", "PENDING", "RUNNING", "CANCELING", "PAUSED")
"""States of a run that has not ended."""


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


def _scheduled(client: Client, run: Any) -> RecurringRun:
    cron, reference = run.trigger.cron_schedule, run.pipeline_version_reference
    return RecurringRun(
        id=run.recurring_run_id,
        name=run.display_name,
        created=run.created_at,
        enabled=run.status == "ENABLED",
        plan=ScheduleSpec(
            cron=cron.cron,
            as_written=run.description.partition(": ")[2],
            start=to_second(cron.start_time),
            end=to_second(cron.end_time),
            catch_up=not run.no_catchup,
            max_concurrency=int(run.max_concurrency),
            parameters=(run.runtime_config and run.runtime_config.parameters) or {},
            experiment=_name(partial(client.get_experiment, run.experiment_id)),
            version=_name(partial(client.get_pipeline_version, reference.pipeline_id, reference.pipeline_version_id)),
            service_account=run.service_account,
        ),
        experiment_id=run.experiment_id,
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


def runs_of(client: Client, of_: RecurringRun) -> Iterator[Any]:
    with answered(client.address, "looking for runs of the schedule"):
        ask = partial(client.list_runs, experiment_id=of_.experiment_id, sort_by="created_at desc")
        yield from (run for run in pages(ask, "runs") if run.recurring_run_id == of_.id)


def create(
    client: Client, name: str, plan: ScheduleSpec, experiment: str, version: Version, enabled: bool = False
) -> RecurringRun:
    with answered(client.address, "making the schedule"):
        made = client.create_recurring_run(
            experiment_id=experiment,
            job_name=name,
            description=f"{_MARK}: {plan.as_written}",
            start_time=api_time(plan.start),
            end_time=api_time(plan.end),
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


def switch(client: Client, chosen: RecurringRun, others: Sequence[RecurringRun], on: bool) -> bool:
    """Disables every other recurring run, then enables or disables the chosen one; returns whether anything changed."""
    wrong = [each for each in others if each.enabled]
    with answered(client.address, "switching the schedule"):
        for each in wrong:
            client.disable_recurring_run(each.id)
        if chosen.enabled != on:
            (client.enable_recurring_run if on else client.disable_recurring_run)(chosen.id)
    return bool(wrong) or chosen.enabled != on


def roll_back(client: Client, made: RecurringRun, before: Sequence[RecurringRun]) -> None:
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


def delete_inactive(client: Client, old: Sequence[RecurringRun]) -> tuple[str, ...]:
    """Deletes disabled recurring runs, except those with an active run; returns the IDs of these."""
    kept = []
    for each in old:
        if any(run.state in _UNDER_WAY for run in runs_of(client, each)):
            kept.append(each.id)
            continue
        with answered(client.address, "deleting the schedule that was"):
            try:
                client.delete_recurring_run(each.id)
            except kfp_server_api.ApiException as error:
                if error.status != 404:  # deleted by an earlier try whose response was lost
                    raise
    return tuple(kept)
