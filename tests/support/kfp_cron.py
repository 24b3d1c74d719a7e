"""Cron expressions with seconds, as the Kubeflow Pipelines backend parses them."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone


@dataclass(frozen=True)
class Six:
    """Six fields, as robfig/cron v1.2.0 parses them."""

    fields: tuple[frozenset[int], ...]
    stars: tuple[bool, ...]

    @classmethod
    def of(cls, text: str) -> "Six":
        parts = text.split()
        if not 5 <= len(parts) <= 6:
            raise ValueError(f"Expected 5 to 6 fields, found {len(parts)}: {text}")
        parts += ["*"] * (6 - len(parts))
        bounds = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
        found = [_values(part, *bound) for part, bound in zip(parts, bounds, strict=True)]
        return cls(tuple(found), tuple(any(each[:1] in "*?" for each in part.split(",")) for part in parts))

    def next(self, after: datetime) -> datetime:
        second, minute, hour, day, month, weekday = self.fields
        date = after.date()
        for _ in range(366 * 5):
            of_month, of_week = date.day in day, date.isoweekday() % 7 in weekday
            matches = (of_month and of_week) if self.stars[3] or self.stars[5] else (of_month or of_week)
            if date.month in month and matches:
                for clock in ((h, m, s) for h in sorted(hour) for m in sorted(minute) for s in sorted(second)):
                    moment = datetime(date.year, date.month, date.day, *clock, tzinfo=timezone.utc)
                    if moment > after:
                        return moment
            date += timedelta(days=1)
        return datetime.max.replace(tzinfo=timezone.utc)


def _values(text: str, least: int, most: int) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low, high = (least, most) if first in ("*", "?") else (int(first), int(last or (most if step else first)))
        if not least <= low <= high <= most:
            raise ValueError(f"out of bounds: {text}")
        found.update(range(low, high + 1, int(step or 1)))
    return frozenset(found)
