"""How a schedule in Kubeflow Pipelines compares with its file, and when it runs next."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from hubline.pipeline.kubeflow.cron import parse
from hubline.pipeline.kubeflow.parameter_definitions import with_integers
from hubline.pipeline.kubeflow.recurring_runs import RecurringRun
from hubline.pipeline.kubeflow.schedule_plan import ScheduleSpec, api_time, backend_cron


@dataclass(frozen=True)
class Difference:
    """A setting's current value, and its value in the file."""

    key: str
    now: str
    wanted: str


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
        return f"{value} (for {plan.as_written})"
    if isinstance(value, datetime):
        return api_time(value) or ""
    if isinstance(value, Mapping):
        return json.dumps(with_integers(value), sort_keys=True) if value else "none"
    return "none" if value is None else str(value)


def row(each: RecurringRun, backend: ZoneInfo, now: datetime) -> dict[str, Any]:
    """A schedule for `hubline schedule list`, with the next run as the backend will start it."""
    cron, _, zone = each.plan.as_written.rpartition(" ")
    since = max(filter(None, (now, each.plan.start)))
    coming = next(backend_cron(each.plan).times(backend, since), None)
    if not each.enabled or (each.plan.end and coming and coming > each.plan.end):
        coming = None
    drifted = coming is not None and coming != next(parse(cron).times(ZoneInfo(zone), since), None)
    return {
        "name": each.name,
        "schedule": each.plan.as_written,
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
