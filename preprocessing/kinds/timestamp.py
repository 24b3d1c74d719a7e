"""Feature kind `timestamp`: a part of a date and time."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds import dates
from hubline.preprocessing.kinds.categorical import as_words
from hubline.preprocessing.kinds.embedding import Embedding
from hubline.preprocessing.kinds.kind import CategoryKind, Layer, TransformContext

_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_SIZES = {"minute": 60, "hour": 24, "weekday": 7, "day": 31, "month": 12}
_NEEDED = {
    "minute": ("minute",),
    "hour": ("hour",),
    "weekday": ("year", "month", "day"),
    "day": ("day",),
    "month": ("month",),
}
"""By part, the fields that a format must contain."""
_DAY = 86_400


class TimestampFeature(CategoryKind):
    """Part of a date and time, in UTC."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "bytes")

    kind: Literal["timestamp"]
    part: Literal["minute", "hour", "weekday", "day", "month"]
    """The part to extract: minute 0 to 59, hour 0 to 23, weekday 0 (Monday) to 6, day of the month 0 to 30, month 0 to
    11."""
    unit: Literal["seconds", "milliseconds", "microseconds"] = "seconds"
    """Unit of integer timestamps, which count from 1970-01-01 00:00 UTC."""
    format: str | None = Field(default=None, min_length=1, examples=["%m/%d/%Y %H:%M"])
    """Format of texts, or of integers such as 20240531, in the directives of Python's `strptime`: %Y %y %m %b %B %d %H
    %I %p %M %S %f %z %a %A. Default: ISO 8601 dates, or dates and times, such as 2024-02-29, 20240229T2359Z or
    2024-02-29 23:59:00.5+01:00. Texts in another format and impossible dates count as missing; the run reports their
    number."""
    encode: Literal["cyclic", "one_hot", "multi_hot", "none"] | Embedding = "cyclic"  # type: ignore[assignment]
    """How the model encodes the part: `cyclic` as sine and cosine, which places the last hour next to the first, or as
    for any categorical feature."""

    @model_validator(mode="after")
    def _can_be_read(self) -> TimestampFeature:
        if self.format is None:
            return self
        if "unit" in self.model_fields_set:
            raise ValueError("unit is for numbers and format for text dates; set only one")
        fields = dates.form_of(self.format).fields
        absent = [each for each in _NEEDED[self.part] if not {each, f"short_{each}", f"named_{each}"} & {*fields}]
        if absent:
            raise ValueError(f"the format '{self.format}' has no {absent[0]}, which the part {self.part} needs")
        return self

    @property
    def is_derived(self) -> bool:
        """True: the column holds timestamps, not the part."""
        return True

    def ids(self, name: str, read: TransformContext) -> tf.SparseTensor:
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
        return _SIZES[self.part]

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        """Sine and cosine of the part's position on the circle (zeros if missing), or the encoding of any categorical
        feature."""
        if self.encode != "cyclic":
            return super().layer(name, transform)
        from hubline.preprocessing import encoding_layers

        turn = 2 * math.pi / _SIZES[self.part]
        table = [[math.sin(turn * place), math.cos(turn * place)] for place in range(_SIZES[self.part])]
        layer = encoding_layers.PretrainedVectors(table, name)
        return lambda inputs: layer(self.given(name, inputs))

    def _part(self, seconds: tf.Tensor) -> tf.Tensor:
        days = seconds // _DAY
        if self.part == "minute":
            return seconds % 3600 // 60
        if self.part == "hour":
            return seconds % _DAY // 3600
        if self.part == "weekday":
            return (days + 3) % 7  # 1970-01-01 was a Thursday
        month, day = dates.civil_of(days)
        return month if self.part == "month" else day
