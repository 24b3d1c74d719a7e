"""Recognizes columns of dates by their form."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hubline.pipeline.init.column_profile import Type

_DAY = 86_400
_BEGIN, _END = -2_208_988_800, 4_102_444_800
"""1900 and 2100, in seconds since 1970."""
_FAR = 100_000_000
"""March 1973: columns with smaller numbers only may be durations."""
_DATE = r"^\d{4}-\d{2}-\d{2}"
_TIME = r"[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}(:?\d{2})?)?"


def is_dates(values: pa.Array, kind: Type) -> bool:
    """Whether all values have the form of dates: ISO 8601, or seconds since 1970 at midnight UTC on several days.

    Args:
        values: Values of a column.
        kind: Their type.
    """
    if kind == "text":
        return bool(pc.all(pc.match_substring_regex(values.cast(pa.large_string()), f"{_DATE}({_TIME})?$")).as_py())
    if kind != "integer":
        return False
    numbers = values.to_numpy(zero_copy_only=False)
    days = np.unique(numbers)
    is_far = days[-1] >= _FAR or days[0] <= -_FAR
    return len(days) > 1 and is_far and bool((numbers % _DAY == 0).all() and days[0] >= _BEGIN and days[-1] < _END)


def has_times(values: pa.Array, kind: Type) -> bool:
    """Whether any date has a time of day other than midnight UTC."""
    if kind == "text":
        return not pc.all(pc.match_substring_regex(values.cast(pa.large_string()), f"{_DATE}$")).as_py()
    return kind == "integer" and bool((values.to_numpy(zero_copy_only=False) % _DAY != 0).any())
