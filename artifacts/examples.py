"""Manifest of the splits that ExampleGen writes."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

from hubline.artifacts.splits import ALL, SPLITS
from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.garbage import collecting_later

_FILE = "manifest.json"


class Origin(Section):
    """The part of a shard that comes from one data file."""

    file: str
    """The data file."""
    count: int
    """Number of records from it."""


class LeftOut(Section):
    """Numbers of records that are not ingested, by reason."""

    where: int = 0
    """Records that don't meet `data.where`."""
    no_value: int = 0
    """Records in which a column that `data.where` names has no value, or several."""
    take: int = 0
    """Records that `data.take` doesn't take."""

    def __add__(self, other: "LeftOut") -> "LeftOut":
        return LeftOut(
            where=self.where + other.where, no_value=self.no_value + other.no_value, take=self.take + other.take
        )

    @property
    def total(self) -> int:
        """Number of records that are left out."""
        return self.where + self.no_value + self.take


class SplitPart(Section):
    """Records of a split that are in one file."""

    split: str
    origins: tuple[Origin, ...]
    """Data files of the records, in the order of the records."""
    largest: int
    """Size of the largest record in bytes; 0 if there are no records."""
    digest: str
    """SHA-256 of the file."""
    left_out: LeftOut = LeftOut()
    """Records that would be in the file, but are left out."""

    @property
    def count(self) -> int:
        """Number of records."""
        return sum(origin.count for origin in self.origins)


class ShardFile(SplitPart):
    """One file of a split in the Examples artifact."""

    name: str
    """Name of the file in `Split-<split>/`; ends in `.gz` if the file is GZIP-compressed."""

    def files_of(self, numbers: Iterable[int]) -> Iterator[str]:
        """The data file of each record, given by its index in the shard."""
        ends = list(accumulate(origin.count for origin in self.origins))
        return (self.origins[bisect_right(ends, number)].file for number in numbers)


class Manifest(Section):
    """The files of an Examples artifact, the origins of their records, and the columns that contain images."""

    shards: tuple[ShardFile, ...]
    images: tuple[str, ...]
    """Columns of images."""
    masks: tuple[str, ...] = ()
    """Columns of encoded masks."""
    sounds: tuple[str, ...] = ()
    """Columns of encoded sounds."""
    quarantined: int = 0
    """Number of quarantined records."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits: those of training, or `ALL` alone."""
        return (ALL,) if any(shard.split == ALL for shard in self.shards) else SPLITS

    @property
    def counts(self) -> dict[str, int]:
        """Number of records by split."""
        return {split: sum(shard.count for shard in self.of(split)) for split in self.splits}

    @property
    def left_out(self) -> dict[str, LeftOut]:
        """Records left out, by split; splits that lost none are missing."""
        lost = [shard for shard in self.shards if shard.left_out.total]
        totals = {
            split: sum((shard.left_out for shard in lost if shard.split == split), LeftOut()) for split in self.splits
        }
        return {split: left_out for split, left_out in totals.items() if left_out.total}

    @property
    def sources(self) -> list[str]:
        """The distinct data files."""
        return list(dict.fromkeys(origin.file for shard in self.shards for origin in shard.origins))

    def of(self, split: str) -> list[ShardFile]:
        """The files of one split, in order of their names."""
        return [shard for shard in self.shards if shard.split == split]

    def write(self, uri: str) -> None:
        storage.write_text(f"{uri}/{_FILE}", self.to_property())

    @classmethod
    def read(cls, uri: str) -> "Manifest":
        """Reads the manifest of an Examples artifact that Hubline's ExampleGen wrote."""
        with collecting_later():
            return cls.model_validate_json(storage.read_bytes(f"{uri}/{_FILE}"))
