"""Profile of the data, from which suggestions are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["integer", "float", "text", "image", "sound", "bytes", "nothing"]
_STEP = 8  # networks halve pictures several times


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
class PictureProfile:
    """Sizes and colors of a column of images, judged by some of them."""

    height: int
    width: int
    """Medians, in pixels, of the upright images."""
    is_one_size: bool
    """Whether all have this size."""
    is_grey: bool
    """Whether all have one channel."""
    values: tuple[int, ...] | None = None
    """Pixel values of grey and palette PNGs with at most 8 bits, which may be masks; None for other images."""


@dataclass(frozen=True)
class SoundProfile:
    """Sample rates and lengths of a column of WAV files, judged by some of them."""

    rates: tuple[int, ...]
    """Samples per second, the most frequent rate first."""
    shortest: float
    median: float
    longest: float
    """Lengths in seconds."""


@dataclass(frozen=True)
class ColumnProfile:
    """Profile of a column. Empty strings and non-finite numbers count as missing."""

    name: str
    type: Type
    """That of most values: `bytes` are mostly neither UTF-8 nor images or WAV files; `nothing` is a column without
    values."""
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
    pictures: PictureProfile | None = None
    """For images, unless none can be opened."""
    sounds: SoundProfile | None = None
    """For WAV files, unless none can be read."""
    broken: int = 0
    """For images and WAV files, number of records that hold something else."""
    broken_place: str = ""
    """File and number of the first of these."""
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
    def unusable(self) -> float:
        """Fraction of records without a value, or with one that is broken."""
        return self.missing + self.broken / self.records

    @property
    def is_single(self) -> bool:
        """Whether no record has several values."""
        return self.most <= 1

    def picture_size(self, most: int, least: int = 1) -> tuple[int, int]:
        """Height and width for a feature made of these images: their own if they are small enough and all alike,
        otherwise scaled down in proportion to multiples of 8.

        Args:
            most: Upper bound of the longer side in pixels; both sides, if the size of the images is unknown.
            least: Lower bound of the shorter side.
        """
        if self.pictures is None:
            return most, most
        height, width = self.pictures.height, self.pictures.width
        scale = min(1.0, most / max(height, width))
        if scale < 1.0 or not self.pictures.is_one_size:
            height, width = (max(_STEP, round(side * scale / _STEP) * _STEP) for side in (height, width))
        return max(least, height), max(least, width)


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
    has_spans: bool = False
    """Whether the data comes in spans."""


@dataclass(frozen=True)
class ModuleInput:
    """An input of a hub module that a feature must feed."""

    name: str
    takes: Literal["image", "video", "text", "numbers"]
    size: tuple[int, int] | None = None
    """Height and width of its images or clips; None for any."""
    channels: int = 3
    """Channels of its images or clips."""
    frames: int | None = None
    """Frames of its clips, if fixed."""
    length: int = 1
    """Numbers for each example."""


@dataclass(frozen=True)
class ModuleProfile:
    """Inputs and outputs of a hub module, as needed for a pipeline file."""

    handle: str
    """As written in the pipeline file."""
    inputs: tuple[ModuleInput, ...]
    output: str | None = None
    """Output to use, if there are several and none is named `default`."""
    maps: tuple[str, ...] = ()
    """Outputs that are feature maps, [batch, height, width, channels]."""

    @property
    def only_input(self) -> ModuleInput | None:
        """The input, if there is a single one."""
        return self.inputs[0] if len(self.inputs) == 1 else None
