"""Profile of the data, from which suggestions are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["integer", "float", "text", "image", "bytes", "nothing"]


@dataclass(frozen=True)
class NumberProfile:
    """Statistics of finite numbers."""

    minimum: float
    mean: float
    median: float
    maximum: float
    deviation: float
    """Standard deviation."""
    skewness: float = 0.0
    """Third standardized moment: 0 for a symmetric distribution, 2 for an exponential one."""


@dataclass(frozen=True)
class ColumnProfile:
    """Profile of a column. Empty strings and non-finite numbers count as missing."""

    name: str
    type: Type
    """`bytes` are neither UTF-8 nor an image; `nothing` is a column without values."""
    records: int
    """Number of records read."""
    present: int
    """Number of records with a value."""
    values: int
    """Total number of values."""
    distinct: int
    """Number of distinct values."""
    frequent: tuple[tuple[int | float | str, int], ...] = ()
    """Most frequent values with their counts; empty for images and bytes."""
    fewest: int = 1
    """Minimum number of values in a record that has any."""
    most: int = 1
    """Maximum number of values in a record."""
    numbers: NumberProfile | None = None
    """For numeric columns."""
    words: float = 0.0
    """For texts, average number of words."""
    is_date: bool = False
    """Whether all values are points in time, in seconds since 1970 or as ISO 8601."""
    has_times: bool = True
    """For points in time, whether any is not at midnight UTC."""

    @property
    def missing(self) -> float:
        """Fraction of records without a value."""
        return 1.0 - self.present / self.records

    @property
    def is_single(self) -> bool:
        """Whether no record has several values."""
        return self.most <= 1


@dataclass(frozen=True)
class DataProfile:
    """Profile of the data."""

    columns: tuple[ColumnProfile, ...]
    files: int
    """Number of files."""
    records: int
    """Number of records read."""
    total: int
    """Number of records: exact if all were read, otherwise estimated from file sizes."""
    is_whole: bool
    """Whether all records were read."""


@dataclass(frozen=True)
class ModuleProfile:
    """Inputs and outputs of a hub module, as needed for a pipeline file."""

    handle: str
    """As written in the pipeline file."""
    input: str
    """Name of its single input."""
    takes: Literal["image", "video", "text"]
    size: tuple[int, int] = (224, 224)
    """Height and width of its images or clips."""
    channels: int = 3
    """Channels of its images."""
    output: str | None = None
    """Output to use, if there are several and none is named `default`."""
    frames: int | None = None
    """Frames of its clips, if fixed."""
