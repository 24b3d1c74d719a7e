"""The schedule that a pipeline file describes, in the terms of Kubeflow Pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile
from hubline.pipeline.kubeflow.api_config import Schedule
from hubline.pipeline.kubeflow.cron import Cron, Drift, compiled, parse
from hubline.pipeline.kubeflow.publish import Package


@dataclass(frozen=True)
class ScheduleSpec:
    """An existing or planned schedule."""

    cron: str
    """Six fields, in the backend's time zone."""
    as_written: str
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
        cron=to_backend(schedule, backend_zone(file), now),
        as_written=f"{schedule.cron} {schedule.time_zone}",
        start=to_second(schedule.starts),
        end=to_second(schedule.ends),
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


def backend_zone(file: AnyFile) -> ZoneInfo:
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
    found = Drift.of(parse(schedule.cron), schedule.zone, backend_zone(file), upcoming(schedule, now, 1)[0])
    return None if found and schedule.ends and found.since > schedule.ends else found


def backend_cron(plan: ScheduleSpec) -> Cron:
    """The schedule in the backend's time zone."""
    return parse(plan.cron.partition(" ")[2])


def to_second(moment: datetime | None) -> datetime | None:
    return moment.astimezone(timezone.utc).replace(microsecond=0) if moment else None


def api_time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
