"""The types of `kubeflow.api` and `kubeflow.schedule` in the pipeline file."""

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
    except (KeyError, ValueError, OSError):  # not there, no path below the others, or a folder of them
        raise ValueError(f"there is no time zone '{name}'; {nearest(name, _near(name))}") from None
    return name


def _near(name: str) -> list[str]:
    """Of some six hundred zones, those to tell of."""
    zones = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")
    alike = [zone for zone in zones if name.lower().rpartition("/")[2].replace(" ", "_") in zone.lower()]
    return (alike or [zone for zone in zones if zone.partition("/")[0] == name.partition("/")[0]] or ["UTC"])[:12]


TimeZone = Annotated[str, AfterValidator(_known_zone)]
"""A name of https://en.wikipedia.org/wiki/List_of_tz_database_time_zones."""


Value: TypeAlias = bool | int | float | str
Given: TypeAlias = dict[str, Value | dict[str, Value | list[Value]]]
"""Parameters of a run by name; that of type STRUCT is a mapping."""


def _read(cron: str) -> str:
    parse(cron)
    return " ".join(cron.split())


class Api(Section):
    """Where Kubeflow Pipelines answers. Tokens and cookies are no part of the file."""

    host: str | None = Field(default=None, pattern=r"^https?://\S+$", examples=["https://kubeflow.example/pipeline"])
    """The address of its API, or of its dashboard, which passes the API on; `--host` gives another."""
    ui_host: str | None = Field(default=None, pattern=r"^https?://\S+$", examples=["https://kubeflow.example/pipeline"])
    """The address of the dashboard for links, where it is not `host`."""
    namespace: str | None = Field(default=None, pattern=r"^[a-z0-9][-a-z0-9]*$", examples=["team-a"])
    """The namespace of the runs, of an installation with several users; `--namespace` gives another."""
    ca_file: FilePath | None = Field(default=None, examples=["ca.pem"])
    """The certificates that its own is checked with, where it is of an authority of your own."""
    time_zone: TimeZone = "UTC"
    """The zone in which the backend reads schedules; CRON_SCHEDULE_TIMEZONE of its scheduled-workflow controller."""

    def page(self, place: str) -> str | None:
        """The address of a page of the dashboard, such as `runs/details/ID`; None where it is not known."""
        host = self.ui_host or self.host
        return f"{host.rstrip('/')}/#/{place}" if host else None

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which the backend reads schedules."""
        return ZoneInfo(self.time_zone)


class Schedule(Section):
    """When runs begin of themselves."""

    cron: Annotated[str, AfterValidator(_read), Field(examples=["0 3 * * *"])]
    """Minute, hour, day of month, month and day of week, as in cron."""
    time_zone: TimeZone = Field(default="UTC", examples=["Europe/Berlin"])
    """The zone of `cron`, `start` and `end`."""
    start: datetime | None = Field(default=None, examples=["2026-11-01T00:00"])
    """No run is before."""
    end: datetime | None = None
    """No run is after."""
    catch_up: bool = False
    """Whether every run that was missed is made up for, one after another; otherwise only the last one is."""
    max_concurrency: int = Field(default=1, ge=1, le=10)
    """How many runs of the schedule may be under way at once."""
    parameters: Given = Field(default={}, examples=[{"epochs": 3}])
    """What its runs are given in place of what the file says, by the names that a run's form has."""
    enabled: bool | None = None
    """Whether it runs. Where this is absent, `hubline schedule pause` and `resume` say."""

    @field_validator("end")
    @classmethod
    def _ends_after_it_starts(cls, end: datetime | None, info: ValidationInfo) -> datetime | None:
        start, zone = info.data.get("start"), info.data.get("time_zone", "UTC")
        if end and start and _in_zone(end, zone) <= _in_zone(start, zone):
            raise ValueError(f"end {end} is not after start {start}")
        return end

    @property
    def zone(self) -> ZoneInfo:
        """The zone of `cron`, `start` and `end`."""
        return ZoneInfo(self.time_zone)

    @property
    def starts(self) -> datetime | None:
        """The moment of `start`."""
        return _in_zone(self.start, self.time_zone) if self.start else None

    @property
    def ends(self) -> datetime | None:
        """The moment of `end`."""
        return _in_zone(self.end, self.time_zone) if self.end else None


def _in_zone(said: datetime, zone: str) -> datetime:
    """A moment; one without an offset is in the zone."""
    return said if said.tzinfo else said.replace(tzinfo=ZoneInfo(zone))


def _of_text(value: Any) -> Any:
    return {"cron": value} if isinstance(value, str) else value


AnySchedule = Annotated[Schedule, BeforeValidator(_of_text, json_schema_input_type=str | Schedule)]
"""A schedule; cron alone stands for one in UTC."""
