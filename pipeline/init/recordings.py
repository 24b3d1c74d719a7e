"""Profiles a column of WAV files: their sample rates and lengths, from the headers of some."""

from __future__ import annotations

import io
import wave
from collections import Counter
from statistics import median

import pyarrow as pa

from hubline.pipeline.init.column_profile import SoundProfile

_LOOKED_AT = 500
"""Maximum number of files whose headers are read."""


def describe_sounds(files: pa.Array) -> SoundProfile | None:
    """The profile of evenly spaced WAV files; None if none of them can be read."""
    rates: Counter[int] = Counter()
    seconds: list[float] = []
    count = min(_LOOKED_AT, len(files))
    for number in range(count):
        try:
            with wave.open(io.BytesIO(files[number * len(files) // count].as_py())) as file:
                rates[file.getframerate()] += 1
                seconds.append(file.getnframes() / file.getframerate())
        except (wave.Error, EOFError, ZeroDivisionError):  # a run reports it
            continue
    if not rates:
        return None
    return SoundProfile(tuple(rate for rate, _ in rates.most_common()), min(seconds), median(seconds), max(seconds))
