"""Formats of dates and times, and TensorFlow operations that parse them.

Without a format, texts are ISO 8601 dates or dates and times, in the extended form `2024-05-31T04:05:06.789+02:00` or
the basic form `20240531T040506Z`, with `T` or a space as separator. Minutes and seconds may be omitted. Week dates
(`2024-W22-5`) and ordinal dates (`2024-152`) are not supported. Times without an offset are in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hubline.core.lazy_import import tf

_DAY = 86_400
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_WEEKDAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_DAYS_OF_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


@dataclass(frozen=True)
class DateFormat:
    """A format of dates and times."""

    pattern: str
    """RE2 regular expression that matches the whole text."""
    extracting: str
    """The same expression, or a more lenient one, with one group per item of `fields`."""
    fields: tuple[str, ...]
    """Any of `year`, `short_year`, `month`, `named_month`, `day`, `hour`, `half_day`, `minute`, `second`, `offset`."""


_OFFSET = r"Z|[+-]\d{2}(?::?\d{2})?"

ISO = DateFormat(
    pattern=r"(\d{4}-\d{2}-\d{2}|\d{8})"
    r"([T ](\d{2}(:\d{2}(:\d{2}([.,]\d+)?)?)?|\d{4}|\d{6}([.,]\d+)?)"
    rf"({_OFFSET})?)?",
    extracting=r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ](\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,]\d+)?)?)?"
    rf"({_OFFSET})?)?",
    fields=("year", "month", "day", "hour", "minute", "second", "offset"),
)

# The same ranges as Python's `strptime`.
_DIRECTIVES = {
    "Y": ("year", r"\d{4}"),
    "y": ("short_year", r"\d{2}"),
    "m": ("month", r"1[0-2]|0[1-9]|[1-9]"),
    "b": ("named_month", "|".join(_MONTHS)),
    "B": ("named_month", _LONG_MONTHS),
    "d": ("day", r"3[0-1]|[1-2]\d|0[1-9]|[1-9]| [1-9]"),
    "H": ("hour", r"2[0-3]|[0-1]\d|\d"),
    "I": ("hour", r"1[0-2]|0[1-9]|[1-9]"),
    "p": ("half_day", r"[ap]m"),
    "M": ("minute", r"[0-5]\d|\d"),
    "S": ("second", r"[0-5]\d|\d"),
    "z": ("offset", r"Z|[+-]\d{2}:?[0-5]\d"),
}
_SKIPPED = {"f": r"\d{1,6}", "a": "mon|tue|wed|thu|fri|sat|sun", "A": _WEEKDAYS, "%": "%"}


def form_of(text: str) -> DateFormat:
    """Parses a `strptime` format such as `%m/%d/%Y %H:%M`.

    Raises:
        ValueError: if a directive is unknown or appears twice.
    """
    pattern, fields = "", []
    for part in re.findall(r"%.?|\s+|[^%\s]+", text, re.DOTALL):
        if part.isspace():
            pattern += r"\s+"
        elif part[0] != "%":
            pattern += re.escape(part)
        elif part[1:] in _DIRECTIVES:
            field, expression = _DIRECTIVES[part[1:]]
            fields.append(field)
            pattern += f"({expression})"
        elif part[1:] in _SKIPPED:
            pattern += f"(?:{_SKIPPED[part[1:]]})"
        else:
            known = " ".join(f"%{letter}" for letter in (*_DIRECTIVES, *_SKIPPED))
            raise ValueError(f"'{part}' is not supported in a format; supported: {known}")
    kinds = [field.removeprefix("short_").removeprefix("named_") for field in fields]
    twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    if twice:
        raise ValueError(f"the format '{text}' has the {twice[0].replace('_', ' ')} twice")
    if ("%I" in text) != ("half_day" in fields):
        raise ValueError(f"the format '{text}' has only one of %I and %p; a 12-hour clock needs both")
    return DateFormat(f"(?i){pattern}", f"(?i){pattern}", tuple(fields))


def seconds_of(texts: tf.Tensor, form: DateFormat) -> tuple[tf.Tensor, tf.Tensor]:
    """Parses dates and times.

    Args:
        texts: String of shape [n].
        form: The format of all texts.

    Returns:
        Seconds since 1970-01-01 UTC, int64 [n], and whether each text is a valid date and time, bool [n].
    """
    is_written = tf.strings.regex_full_match(texts, form.pattern)
    fields = {
        field: tf.strings.regex_replace(texts, f"^(?:{form.extracting})$", rf"\{number}", replace_global=False)
        for number, field in enumerate(form.fields, start=1)
    }
    fields = {name: tf.where(is_written, tf.strings.strip(text), "") for name, text in fields.items()}

    def number(name: str, default: int = 0) -> tf.Tensor:
        if name not in fields:
            return tf.fill(tf.shape(texts), tf.constant(default, tf.int64))
        return tf.strings.to_number(tf.strings.join(["0", fields[name]]), tf.int64)

    # 2000 is a leap year, so that 29 February is valid without a year.
    year, month, day = number("year", 2000), number("month", 1), number("day", 1)
    if "short_year" in fields:
        short = number("short_year")
        year = short + tf.where(short < 69, tf.constant(2000, tf.int64), 1900)  # as in POSIX
    if "named_month" in fields:
        month = _numbered(fields["named_month"])
    hour, minute, second = number("hour"), number("minute"), number("second")
    if "half_day" in fields:
        is_later = tf.strings.regex_full_match(fields["half_day"], r"(?i)pm")
        hour = hour % 12 + tf.where(is_later, tf.constant(12, tf.int64), 0)
    offset, offset_is_one = _offset(fields["offset"]) if "offset" in fields else (number("offset"), is_written)
    is_date = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= _days_of_month(year, month))
    is_time = (hour < 24) & (minute < 60) & (second < 60) & offset_is_one
    seconds = days_of(year, month, day) * _DAY + hour * 3600 + minute * 60 + second - offset
    return seconds, is_written & is_date & is_time


def _numbered(months: tf.Tensor) -> tf.Tensor:
    """Month names, recognized by their first three letters, as numbers from 1; 0 for other texts."""
    letters = tf.strings.lower(tf.strings.substr(tf.strings.join([months, "   "]), 0, 3))
    is_named = letters[:, tf.newaxis] == tf.constant(_MONTHS)
    return tf.reduce_sum(tf.cast(is_named, tf.int64) * tf.range(1, 13, dtype=tf.int64), axis=1)


def _offset(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Seconds east of UTC for `Z`, `+02`, `+0200`, `-02:00` or an empty text, and whether the offset is less than a
    day."""
    digits = tf.strings.join([tf.strings.regex_replace(texts, r"[^0-9]", ""), "0000"])
    hours, minutes = (tf.strings.to_number(tf.strings.substr(digits, place, 2), tf.int64) for place in (0, 2))
    sign = tf.where(tf.strings.regex_full_match(texts, r"-.*"), tf.constant(-1, tf.int64), 1)
    return sign * (hours * 3600 + minutes * 60), (hours < 24) & (minutes < 60)


def _days_of_month(year: tf.Tensor, month: tf.Tensor) -> tf.Tensor:
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = tf.gather(tf.constant(_DAYS_OF_MONTHS, tf.int64), tf.clip_by_value(month - 1, 0, 11))
    return days + tf.cast(is_leap & (month == 2), tf.int64)


def civil_of(days: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Month and day of the month, both from 0, of days since 1970-01-01.

    Years start in March here, which puts the leap day at the end:
    https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    """
    of_era = (days + 719_468) % 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * of_year + 2) // 153
    return (from_march + 2) % 12, of_year - (153 * from_march + 2) // 5


def days_of(year: tf.Tensor, month: tf.Tensor, day: tf.Tensor) -> tf.Tensor:
    """Days since 1970-01-01. Inverse of `civil_of`, but month and day count from 1."""
    shifted = year - tf.cast(month <= 2, tf.int64)
    of_era = shifted % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return shifted // 400 * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
