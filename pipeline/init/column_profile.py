"""What was seen of the data: what suggestions are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["integer", "float", "text", "image", "bytes", "nothing"]


@dataclass(frozen=True)
class Numbers:
    """Statistics of numbers that are finite."""

    minimum: float
    mean: float
    median: float
    maximum: float
    deviation: float
    """The standard deviation."""
    skewness: float = 0.0
    """The third standardised moment: 0 where numbers lie evenly about their mean, 2 for an exponential distribution."""


@dataclass(frozen=True)
class Column:
    """A column of the records that were looked at. Empty strings and numbers that are not finite count as missing."""

    name: str
    type: Type
    """`bytes` are neither UTF-8 nor an image; `nothing` is a column that no record has a value of."""
    records: int
    """How many records were looked at."""
    present: int
    """How many of them have a value."""
    values: int
    """How many values these have together."""
    distinct: int
    """How many values are different."""
    frequent: tuple[tuple[int | float | str, int], ...] = ()
    """The most frequent values and how often each comes; none for images and bytes."""
    fewest: int = 1
    """The fewest values in a record that has any."""
    most: int = 1
    """The most values in a record."""
    numbers: Numbers | None = None
    """Of numbers."""
    words: float = 0.0
    """Of texts, how many words one has in the mean."""

    @property
    def missing(self) -> float:
        """The share of the records that have no value."""
        return 1.0 - self.present / self.records

    @property
    def is_single(self) -> bool:
        """Whether no record has several values."""
        return self.most <= 1


@dataclass(frozen=True)
class Data:
    """The data that was looked at."""

    columns: tuple[Column, ...]
    files: int
    """How many files there are."""
    records: int
    """How many records were looked at."""
    total: int
    """How many records there are: counted where all were looked at, else guessed by the size of the files."""
    is_whole: bool
    """Whether all were looked at."""


@dataclass(frozen=True)
class Module:
    """A hub module, as far as a pipeline file says it."""

    handle: str
    """As the pipeline file is to have it."""
    input: str
    """The name of the one tensor it takes."""
    takes: Literal["image", "video", "text"]
    size: tuple[int, int] = (224, 224)
    """Height and width of the images or clips it takes."""
    channels: int = 3
    """Of the images it takes."""
    output: str | None = None
    """The output to use, where there are several and none is called `default`."""
    frames: int | None = None
    """Of the clips it takes, where it says so."""
