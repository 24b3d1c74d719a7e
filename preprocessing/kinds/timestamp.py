"""Kind `timestamp`: a part of a date and time."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from preprocessing.kinds.kind import Categories, ColumnType, Embedding, Layer, Read
from preprocessing.lazy import tf, tft

_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_SIZES = {"minute": 60, "hour": 24, "weekday": 7, "day": 31, "month": 12}
_DAY = 86_400


class TimestampFeature(Categories):
    """A part of a point in time, in UTC."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "bytes")

    kind: Literal["timestamp"]
    part: Literal["minute", "hour", "weekday", "day", "month"]
    """Which: minute 0 to 59, hour 0 to 23, weekday 0 (Monday) to 6, day of the month 0 to 30, month 0 to 11."""
    unit: Literal["seconds", "milliseconds", "microseconds"] = "seconds"
    """What a whole number counts, since 1970 began. A string is a date, or a date and time, such as
    2024-02-29T23:59:00."""
    encode: Literal["cyclic", "one_hot", "multi_hot", "none"] | Embedding = "cyclic"  # type: ignore[assignment]
    """How the model takes it in: `cyclic` as sine and cosine, so that the last hour is next to the first; or as for
    every category."""

    @property
    def is_derived(self) -> bool:
        """The column holds points in time."""
        return True

    def ids(self, name: str, read: Read) -> tf.SparseTensor:
        """The number of the part."""
        (column,) = self.reads(name)
        times = read(column)
        if times.dtype == tf.string:
            times, seconds = _written(times), 1
        else:
            seconds = _PER_SECOND[self.unit]
        return tf.sparse.map_values(lambda numbers: self._part(tf.cast(numbers, tf.int64) // seconds), times)

    def size(self, name: str, transform: tft.TFTransformOutput) -> int:
        """How many there are of the part."""
        return _SIZES[self.part]

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        """Sine and cosine of the part's share of the circle, 0 and 0 where it is missing; or as for every category."""
        if self.encode != "cyclic":
            return super().layer(name, transform)
        from preprocessing import encode

        turn = 2 * math.pi / _SIZES[self.part]
        table = [[math.sin(turn * place), math.cos(turn * place)] for place in range(_SIZES[self.part])]
        layer = encode.Fixed(table, name)
        return lambda inputs: layer(self.given(name, inputs))

    def _part(self, seconds: tf.Tensor) -> tf.Tensor:
        days = seconds // _DAY
        if self.part == "minute":
            return seconds % 3600 // 60
        if self.part == "hour":
            return seconds % _DAY // 3600
        if self.part == "weekday":
            return (days + 3) % 7  # 1970 began on a Thursday
        month, day = _civil(days)
        return month if self.part == "month" else day


def _civil(days: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Month and day of the month, from 0, of days since 1970 began.

    Years that begin in March have their leap day at the end:
    https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    """
    of_era = (days + 719_468) % 146_097
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    from_march = (5 * of_year + 2) // 153
    return (from_march + 2) % 12, of_year - (153 * from_march + 2) // 5


def _days(year: tf.Tensor, month: tf.Tensor, day: tf.Tensor) -> tf.Tensor:
    """Days since 1970 began; `_civil` the other way round, month and day from 1."""
    shifted = year - tf.cast(month <= 2, tf.int64)
    of_era = shifted % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return shifted // 400 * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


_FORM = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?"


def _written(times: tf.SparseTensor) -> tf.SparseTensor:
    """Seconds since 1970 began of what is a date, or a date and time."""
    times = tf.sparse.retain(times, tf.strings.regex_full_match(times.values, _FORM))

    def number(start: int, length: int) -> tf.Tensor:
        # What is not written is 0.
        return tf.strings.to_number(tf.strings.substr(padded, start, length), tf.int64)

    padded = tf.strings.join([tf.strings.regex_replace(times.values, r"Z$", ""), "_00:00:00"])
    whole = tf.strings.length(times.values) > 10
    padded = tf.where(whole, tf.strings.join([tf.strings.substr(times.values, 0, 16), ":00"]), padded)
    seconds = _days(number(0, 4), number(5, 2), number(8, 2)) * _DAY + number(11, 2) * 3600 + number(14, 2) * 60
    return tf.SparseTensor(times.indices, seconds, times.dense_shape)
