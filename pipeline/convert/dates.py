"""Dates and times as people write them, in three orders of day, month and year."""

import calendar
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hubline.pipeline.convert.kinds import ORDERS

_TIME = (
    r"(?:(?:,? +|T)(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:\.\d+)?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)? ?(?P<zone>(?:Z|UTC|[+-]\d{2}(?::?\d{2})?)?))?$"
)
_NUMBERS = rf"^(?P<a>\d{{1,4}})(?P<mark>[/.-])(?P<b>\d{{1,2}})(?P<again>[/.-])(?P<c>\d{{1,4}}){_TIME}"
_DAY_MONTH = rf"^(?:[A-Za-z]{{3,9}},? )?(?P<d>\d{{1,2}})[ .-]+(?P<name>[A-Za-z]{{3,9}})[ .,-]+(?P<y>\d{{4}}){_TIME}"
_MONTH_DAY = rf"^(?:[A-Za-z]{{3,9}},? )?(?P<name>[A-Za-z]{{3,9}})[ .-]+(?P<d>\d{{1,2}}),? (?P<y>\d{{4}}){_TIME}"
DATE = re.sub(r"\?P<\w+>", "", rf"{_NUMBERS}|{_DAY_MONTH}|{_MONTH_DAY}")  # not every RE2 takes a name twice
"""What `Dates` can read."""
_MONTHS = [name.lower() for name in calendar.month_name[1:]]
_MONTH_NAMES = [*_MONTHS, *(name[:3] for name in _MONTHS), "sept"]
_MONTH_NUMBERS = np.array([*range(1, 13), *range(1, 13), 9, 0])
_CENTURY = 69
"""Two-digit years from here on belong to the 20th century, as in POSIX."""

Seconds = tuple[np.ndarray, np.ndarray]
"""Seconds since 1970 UTC, int64 [texts], and which texts are dates, bool [texts]."""


def by_format(texts: pa.Array, form: str) -> Seconds:
    """Reads dates in a format of Python's `strptime`; null texts are no dates.

    Raises:
        ValueError: if the format is invalid.
    """
    dates = pd.to_datetime(pd.Series(texts.to_pylist(), dtype=object), format=form, errors="coerce", utc=True)
    there = dates.notna().to_numpy()
    seconds = (dates.fillna(pd.Timestamp(0, tz="UTC")) - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
    return seconds.to_numpy().astype(np.int64), there


@dataclass(frozen=True)
class Dates:
    """Texts to be read as dates; null if they need not be looked at."""

    texts: pa.Array

    def read(self, order: str) -> Seconds:
        """Reads dates in one order of `ORDERS`; names of months fit each."""
        assert order in ORDERS
        seconds, there = np.zeros(len(self.texts), np.int64), np.zeros(len(self.texts), bool)
        for some, fit in (self._numbers[order], *self._named):
            seconds, there = np.where(fit & ~there, some, seconds), there | fit
        return seconds, there

    @cached_property
    def _numbers(self) -> dict[str, Seconds]:
        parts = _Parts(pc.extract_regex(self.texts, _NUMBERS))
        a, b, c = (parts.number(name) for name in "abc")
        same = pc.fill_null(pc.equal(parts.text("mark"), parts.text("again")), False).to_numpy(zero_copy_only=False)
        long_a, long_c = parts.has("a", r"^\d{4}$"), parts.has("c", r"^\d{4}$")
        short_c = parts.has("c", r"^\d{2}$") & parts.has("mark", "/")
        first, last = same & ~long_a & parts.has("a", r"^\d{1,2}$"), long_c | short_c
        year = np.where(long_c, c, np.where(c < _CENTURY, 2000 + c, 1900 + c))
        first_year = same & long_a & parts.has("c", r"^\d{1,2}$")
        return {
            "YMD": parts.seconds(a, b, c, first_year),
            "DMY": parts.seconds(year, b, a, first & last),
            "MDY": parts.seconds(year, a, b, first & last),
        }

    @cached_property
    def _named(self) -> list[Seconds]:
        found = []
        for pattern in (_DAY_MONTH, _MONTH_DAY):
            parts = _Parts(pc.extract_regex(self.texts, pattern))
            places = pc.index_in(pc.utf8_lower(parts.text("name")), value_set=pa.array(_MONTH_NAMES))
            month = _MONTH_NUMBERS[pc.fill_null(places, len(_MONTH_NAMES)).to_numpy()]
            there = parts.groups.is_valid().to_numpy(zero_copy_only=False)
            found.append(parts.seconds(parts.number("y"), month, parts.number("d"), there))
        return found


@dataclass(frozen=True)
class _Parts:
    """Groups of a pattern; null for texts that don't match."""

    groups: pa.StructArray

    def text(self, name: str) -> pa.Array:
        return pc.struct_field(self.groups, [self.groups.type.get_field_index(name)])

    def has(self, name: str, pattern: str) -> np.ndarray:
        found = pc.match_substring_regex(self.text(name), pattern)
        return pc.fill_null(found, False).to_numpy(zero_copy_only=False)

    def number(self, name: str) -> np.ndarray:
        """A group as integers; 0 if it is empty."""
        texts = pc.fill_null(self.text(name), "")
        return pc.if_else(pc.equal(texts, ""), "0", texts).cast(pa.int64()).to_numpy()

    def seconds(self, year: np.ndarray, month: np.ndarray, day: np.ndarray, there: np.ndarray) -> Seconds:
        """Seconds of dates with these numbers and the time of day in the groups."""
        there = there & (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
        year, month, day = (np.where(there, each, 1) for each in (year, month, day))
        months = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
        dates = months.astype("datetime64[D]") + (day - 1)
        there &= dates.astype("datetime64[M]") == months  # 30 February is in March
        hour, is_hour = self._hour()
        return (
            dates.astype(np.int64) * 86_400
            + hour * 3600
            + self.number("minute") * 60
            + self.number("second")
            - self._offset(),
            there & is_hour,
        )

    def _hour(self) -> tuple[np.ndarray, np.ndarray]:
        """The hour, from 0 to 23, and whether it is one."""
        hour, half = self.number("hour"), self.has("half", ".")
        afternoon = self.has("half", "[Pp]")
        is_hour = np.where(half, (hour >= 1) & (hour <= 12), hour <= 23)
        return np.where(half, hour % 12 + 12 * afternoon, hour), is_hour

    def _offset(self) -> np.ndarray:
        """Offset from UTC in seconds."""
        digits = pc.replace_substring_regex(self.text("zone"), r"[^0-9]", "")
        digits = pc.utf8_rpad(pc.fill_null(digits, ""), 4, "0").cast(pa.int64()).to_numpy()
        seconds = digits // 100 * 3600 + digits % 100 * 60
        return np.where(self.has("zone", "-"), -seconds, seconds)
