"""Kind `timestamp`: a part of a date and time."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds import dates
from hubline.preprocessing.kinds.categorical import as_words
from hubline.preprocessing.kinds.embedding import Embedding
from hubline.preprocessing.kinds.kind import Categories, ColumnType, Layer, Read

_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_SIZES = {"minute": 60, "hour": 24, "weekday": 7, "day": 31, "month": 12}
_NEEDED = {
    "minute": ("minute",),
    "hour": ("hour",),
    "weekday": ("year", "month", "day"),
    "day": ("day",),
    "month": ("month",),
}
"""By part, what must be written for it to be known."""
_DAY = 86_400


class TimestampFeature(Categories):
    """A part of a point in time, in UTC."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "bytes")

    kind: Literal["timestamp"]
    part: Literal["minute", "hour", "weekday", "day", "month"]
    """Which: minute 0 to 59, hour 0 to 23, weekday 0 (Monday) to 6, day of the month 0 to 30, month 0 to 11."""
    unit: Literal["seconds", "milliseconds", "microseconds"] = "seconds"
    """What a whole number counts, since 1970 began."""
    format: str | None = Field(default=None, min_length=1, examples=["%m/%d/%Y %H:%M"])
    """How texts, or whole numbers such as 20240531, are written, in the terms of Python's `strptime`: %Y %y %m %b %B %d
    %H %I %p %M %S %f %z %a %A. Where this is absent, texts are dates of ISO 8601, or dates and times, such as
    2024-02-29, 20240229T2359Z or 2024-02-29 23:59:00.5+01:00. What is not written so, or is no day, counts as missing;
    the run says how many there are."""
    encode: Literal["cyclic", "one_hot", "multi_hot", "none"] | Embedding = "cyclic"  # type: ignore[assignment]
    """How the model takes it in: `cyclic` as sine and cosine, so that the last hour is next to the first; or as for
    every category."""

    @model_validator(mode="after")
    def _can_be_read(self) -> TimestampFeature:
        if self.format is None:
            return self
        if "unit" in self.model_fields_set:
            raise ValueError(
                "a unit is of numbers that count, and a format of dates that are written; give one of them"
            )
        fields = dates.form_of(self.format).fields
        absent = [each for each in _NEEDED[self.part] if not {each, f"short_{each}", f"named_{each}"} & {*fields}]
        if absent:
            raise ValueError(f"the {self.part} cannot be told by the format '{self.format}', which has no {absent[0]}")
        return self

    @property
    def is_derived(self) -> bool:
        """The column holds points in time."""
        return True

    def ids(self, name: str, read: Read) -> tf.SparseTensor:
        """The number of the part."""
        (column,) = self.reads(name)
        times = read(column)
        if times.dtype != tf.string and self.format is None:
            seconds = _PER_SECOND[self.unit]
            return tf.sparse.map_values(lambda numbers: self._part(tf.cast(numbers, tf.int64) // seconds), times)
        texts = tf.sparse.map_values(as_words, times)
        form = dates.form_of(self.format) if self.format else dates.ISO
        numbers, are_times = dates.seconds_of(texts.values, form)
        read.analysis.unread(name, tf.where(are_times, "", texts.values))
        return tf.sparse.retain(tf.SparseTensor(times.indices, self._part(numbers), times.dense_shape), are_times)

    def size(self, name: str, transform: tft.TFTransformOutput) -> int:
        """How many there are of the part."""
        return _SIZES[self.part]

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        """Sine and cosine of the part's share of the circle, 0 and 0 where it is missing; or as for every category."""
        if self.encode != "cyclic":
            return super().layer(name, transform)
        from hubline.preprocessing import encoding_layers as encode

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
        month, day = dates.civil_of(days)
        return month if self.part == "month" else day
