"""Cron expressions in a named time zone, and their translation to the time zone of the Kubeflow Pipelines backend.

The backend parses six fields with https://pkg.go.dev/github.com/robfig/cron@v1.2.0, which starts with seconds and has
no time zones: a prefix such as `CRON_TZ=` is rejected. All schedules are evaluated in the time zone of its controller,
UTC unless CRON_SCHEDULE_TIMEZONE is set. A schedule is therefore compiled with the current offset between the two
zones. When the offset changes, at daylight saving, the schedule drifts until it is compiled again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_YEARS = 5
"""A schedule without a time in this many years never has one; KFP's backend searches as far."""


@dataclass(frozen=True)
class Cron:
    """The five fields; None for days or months given as `*`."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int] | None
    weekdays: frozenset[int] | None
    """0 is Sunday."""

    def runs_on(self, day: date) -> bool:
        """Whether there are runs on a day. If days of the month and days of the week are given, either suffices, as in
        cron."""
        if self.months is not None and day.month not in self.months:
            return False
        given = [
            number in days
            for number, days in ((day.day, self.days), (day.isoweekday() % 7, self.weekdays))
            if days is not None
        ]
        return any(given) or not given

    def times(self, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
        """The times after a moment, in the zone. Times skipped by a clock change are left out."""
        first = after.astimezone(zone).date() - timedelta(days=1)
        for day in (first + timedelta(days=count) for count in range(366 * _YEARS)):
            if not self.runs_on(day):
                continue
            for hour, minute in sorted((hour, minute) for hour in self.hours for minute in self.minutes):
                moment = datetime.combine(day, time(hour, minute), zone)
                is_on_the_clock = moment.astimezone(timezone.utc).astimezone(zone).replace(tzinfo=None)
                if is_on_the_clock == moment.replace(tzinfo=None) and moment.timestamp() > after.timestamp():
                    yield moment


def parse(text: str) -> Cron:
    """Parses five fields: minute, hour, day of month, month, day of week.

    Raises:
        ValueError: if the expression is invalid; the message says why.
    """
    fields = text.split()
    if len(fields) != 5:
        hint = "; the seconds that Kubeflow Pipelines has are added" if len(fields) == 6 else ""
        raise ValueError(
            f"'{text}' has {len(fields)} fields; cron needs five: minute, hour, day of month, month and day of week, "
            f"such as 0 3 * * *{hint}"
        )
    minutes, hours, days, months, weekdays = fields
    if days.startswith("*/") and weekdays != "*":
        raise ValueError(
            f"the day of month {days} with the day of week {weekdays} is ambiguous in cron; list the days of the month"
        )
    cron = Cron(
        _field(minutes, "minute", 0, 59),
        _field(hours, "hour", 0, 23),
        None if days == "*" else _field(days, "day of month", 1, 31),
        None if months == "*" else _field(months, "month", 1, 12, _MONTHS),
        None if weekdays == "*" else frozenset(day % 7 for day in _field(weekdays, "day of week", 0, 7, _WEEKDAYS)),
    )
    if not any(cron.runs_on(date(2024, 1, 1) + timedelta(days=count)) for count in range(366 * _YEARS)):
        raise ValueError(f"'{text}' never occurs: none of the months has such a day")
    return cron


def _field(text: str, what: str, least: int, most: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    def number(text: str) -> int:
        if text.lower() in names:
            return names.index(text.lower()) + least
        if not text.isdecimal() or not least <= int(text) <= most:
            known = f", or {names[0]} to {names[-1]}" if names else ""
            raise ValueError(f"the {what} '{text}' is not in the range {least} to {most}{known}")
        return int(text)

    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?", part)
        if match is None or (match[4] and not match[1] and not match[3]) or match[4] == "0":
            raise ValueError(
                f"the {what} '{part}' is not valid cron: use *, 5, 1-5, */15, 1-30/2, or a comma-separated list"
            )
        first, last = (least, most) if match[1] else (number(match[2]), number(match[3] or match[2]))
        if first > last:
            raise ValueError(f"the {what} '{part}' ends before it starts")
        found.update(range(first, last + 1, int(match[4] or 1)))
    return frozenset(found)


def compiled(cron: Cron, zone: ZoneInfo, backend: ZoneInfo, at: datetime) -> str:
    """The six fields for the backend.

    Args:
        cron: The schedule.
        zone: Time zone of the schedule.
        backend: Time zone in which the backend evaluates it.
        at: Moment whose offset between the zones is used.

    Raises:
        ValueError: if six fields cannot express the schedule; the message says why.
    """
    moved = _moved(cron, difference(zone, backend, at))
    fields = [_text(moved.minutes, 60), _text(moved.hours, 24)]
    fields += ["*" if days is None else _text(days) for days in (moved.days, moved.months, moved.weekdays)]
    return " ".join(["0", *fields])


def difference(zone: ZoneInfo, backend: ZoneInfo, at: datetime) -> timedelta:
    """Offset to add to a time in `zone` to get the time in `backend`."""
    here, there = at.astimezone(zone).utcoffset(), at.astimezone(backend).utcoffset()
    assert here is not None and there is not None
    return there - here


def _moved(cron: Cron, by: timedelta) -> Cron:
    """The same schedule on a clock that is ahead by `by`.

    Raises:
        ValueError: if cron cannot express it.
    """
    times = [timedelta(hours=hour, minutes=minute) + by for hour in cron.hours for minute in cron.minutes]
    shifts = {each.days for each in times}
    clock = {(each.seconds // 3600, each.seconds // 60 % 60) for each in times}
    hours, minutes = frozenset(hour for hour, _ in clock), frozenset(minute for _, minute in clock)
    if len(clock) < len(hours) * len(minutes):
        raise ValueError(f"its times, moved by {_said(by)}, are no longer the same minutes in each of its hours")
    moved = replace(cron, hours=hours, minutes=minutes)
    if shifts == {0} or (cron.days, cron.months, cron.weekdays) == (None, None, None):
        return moved
    if len(shifts) > 1:
        raise ValueError(f"moved by {_said(by)}, some of its times are on another day and some are not")
    (shift,) = shifts
    edge = "the day before" if shift < 0 else "the day after"
    if cron.months is not None and (cron.days is None or cron.weekdays is not None):
        raise ValueError(f"moved by {_said(by)}, it is on {edge}, which for one day of a month is another month")
    if cron.days is not None and not cron.days <= set(range(2, 29) if shift < 0 else range(1, 28)):
        safe = "2 to 28" if shift < 0 else "1 to 27"
        raise ValueError(
            f"moved by {_said(by)}, it is on {edge}, which months of any length have for the days {safe} only"
        )
    return replace(
        moved,
        days=None if cron.days is None else frozenset(day + shift for day in cron.days),
        weekdays=None if cron.weekdays is None else frozenset((day + shift) % 7 for day in cron.weekdays),
    )


def _moves(cron: Cron, by: timedelta) -> Cron | None:
    try:
        return _moved(cron, by)
    except ValueError:
        return None


def _said(by: timedelta) -> str:
    minutes = round(by.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60}:{abs(minutes) % 60:02}"


def _text(numbers: frozenset[int], all_of: int | None = None) -> str:
    """Formats numbers as a cron field; three or more in a row become a range."""
    if len(numbers) == all_of:
        return "*"
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


@dataclass(frozen=True)
class Drift:
    """A clock change after which a schedule runs at another time unless it is compiled again."""

    since: datetime
    """In the schedule's time zone."""
    later: timedelta
    """How much later the runs start; negative for earlier."""

    @classmethod
    def of(cls, cron: Cron, zone: ZoneInfo, backend: ZoneInfo, at: datetime) -> "Drift | None":
        """The first drift within a year of a moment, rounded to the hour; None if there is none."""
        compiled_with = difference(zone, backend, at)
        days = (at + timedelta(days=count) for count in range(1, 367))
        changed = next((day for day in days if difference(zone, backend, day) != compiled_with), None)
        if changed is None:
            return None
        hours = (changed.replace(minute=0, second=0, microsecond=0) - timedelta(hours=count) for count in range(25))
        since = [hour for hour in hours if difference(zone, backend, hour) != compiled_with][-1]
        if _moves(cron, compiled_with) == _moves(cron, difference(zone, backend, changed)):
            return None
        return cls(since.astimezone(zone), compiled_with - difference(zone, backend, changed))

    def __str__(self) -> str:
        way = "later" if self.later > timedelta(0) else "earlier"
        hours, minutes = divmod(round(abs(self.later).total_seconds() / 60), 60)
        much = " ".join(filter(None, (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "")))
        return f"from {self.since:%Y-%m-%d} it runs {much} {way} on that clock, until it is applied again"
