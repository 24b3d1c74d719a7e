"""The types of `kubeflow.api` and `kubeflow.schedule`."""

from datetime import datetime
from typing import Annotated, Any, TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from hubline.core.config_base import FilePath, Section
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.kubeflow.cron import parse


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, not a relative path, or a folder
        raise ValueError(f"unknown time zone '{name}'; {nearest(name, _near(name))}") from None
    return name


def _near(name: str) -> list[str]:
    """Suggestions for an unknown zone, out of some six hundred."""
    zones = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")
    alike = [zone for zone in zones if name.lower().rpartition("/")[2].replace(" ", "_") in zone.lower()]
    return (alike or [zone for zone in zones if zone.partition("/")[0] == name.partition("/")[0]] or ["UTC"])[:12]


TimeZone = Annotated[str, AfterValidator(_known_zone)]
"""A name in https://en.wikipedia.org/wiki/List_of_tz_database_time_zones."""


Value: TypeAlias = bool | int | float | str
Given: TypeAlias = dict[str, Value | dict[str, Value | list[Value]]]
"""Parameters of a run by name; a parameter of type STRUCT is a mapping."""


def _read(cron: str) -> str:
    parse(cron)
    return " ".join(cron.split())


class Api(Section):
    """Connection to Kubeflow Pipelines. Tokens and cookies are not part of the file."""

    host: str | None = Field(default=None, pattern=r"^https?://\S+$", examples=["https://kubeflow.example/pipeline"])
    """URL of the API, or of the dashboard, which forwards to the API. `--host` overrides it."""
    ui_host: str | None = Field(default=None, pattern=r"^https?://\S+$", examples=["https://kubeflow.example/pipeline"])
    """URL of the dashboard for links, if it differs from `host`."""
    namespace: str | None = Field(default=None, pattern=r"^[a-z0-9][-a-z0-9]*$", examples=["team-a"])
    """Namespace of the runs in a multi-user installation. `--namespace` overrides it."""
    ca_file: FilePath | None = Field(default=None, examples=["ca.pem"])
    """CA certificates that verify the host's certificate, for a private certificate authority."""
    time_zone: TimeZone = "UTC"
    """Time zone in which the backend evaluates cron schedules: CRON_SCHEDULE_TIMEZONE of the scheduled-workflow
    controller."""

    def page(self, place: str) -> str | None:
        """URL of a dashboard page such as `runs/details/ID`; None if no host is set."""
        host = self.ui_host or self.host
        return f"{host.rstrip('/')}/#/{place}" if host else None

    @property
    def zone(self) -> ZoneInfo:
        """Time zone in which the backend evaluates cron schedules."""
        return ZoneInfo(self.time_zone)


class Schedule(Section):
    """A schedule of recurring runs."""

    cron: Annotated[str, AfterValidator(_read), Field(examples=["0 3 * * *"])]
    """Cron expression: minute, hour, day of month, month and day of week."""
    time_zone: TimeZone = Field(default="UTC", examples=["Europe/Berlin"])
    """Time zone of `cron`, `start` and `end`."""
    start: datetime | None = Field(default=None, examples=["2026-11-01T00:00"])
    """No runs start before this time."""
    end: datetime | None = None
    """No runs start after this time."""
    catch_up: bool = False
    """Whether all missed runs are made up for, one after another, rather than only the latest."""
    max_concurrency: int = Field(default=1, ge=1, le=10)
    """Maximum number of runs of the schedule at the same time."""
    parameters: Given = Field(default={}, examples=[{"epochs": 3}])
    """Run parameters that override the pipeline file, by parameter name."""
    enabled: bool | None = None
    """Whether the schedule is active. Default: `hubline schedule pause` and `resume` decide."""

    @field_validator("end")
    @classmethod
    def _ends_after_it_starts(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start, zone = info.data.get("start"), info.data.get("time_zone", "UTC")
        if end and start and _in_zone(end, zone) <= _in_zone(start, zone):
            raise ValueError(f"end {end} is not after start {start}")
        return end

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def starts(self) -> datetime | None:
        """`start` with its time zone."""
        return _in_zone(self.start, self.time_zone) if self.start else None

    @property
    def ends(self) -> datetime | None:
        """`end` with its time zone."""
        return _in_zone(self.end, self.time_zone) if self.end else None


def _in_zone(time: datetime, zone: str) -> datetime:
    """Attaches the zone to a time without an offset."""
    return time if time.tzinfo else time.replace(tzinfo=ZoneInfo(zone))


def _of_text(value: Any) -> Any:
    return {"cron": value} if isinstance(value, str) else value


AnySchedule = Annotated[Schedule, BeforeValidator(_of_text, json_schema_input_type=str | Schedule)]
"""A schedule, or a cron expression in UTC."""
