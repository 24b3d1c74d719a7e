"""What ExampleGen notes beside the splits it writes."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate

from hubline.artifacts.splits import ALL, SPLITS
from hubline.core import storage
from hubline.core.config_base import Section

_FILE = "manifest.json"


class Origin(Section):
    """What a shard has from one data file."""

    file: str
    """The data file."""
    count: int
    """Records that came from it."""


class ShardFile(Section):
    """One file of a split."""

    split: str
    name: str
    """The file in `Split-<split>/`. Its name ends in `.gz` where it is GZIP."""
    origins: tuple[Origin, ...]
    """The data files that its records came from, in the order of the records."""
    largest: int
    """Bytes of the largest record; 0 where there is none."""
    digest: str
    """The SHA-256 of the file."""

    @property
    def count(self) -> int:
        """Records in it."""
        return sum(origin.count for origin in self.origins)

    def files_of(self, numbers: Iterable[int]) -> Iterator[str]:
        """The data file that each of some records came from, by their numbers in the shard, from 0."""
        ends = list(accumulate(origin.count for origin in self.origins))
        return (self.origins[bisect_right(ends, number)].file for number in numbers)


class Manifest(Section):
    """The files of an Examples artifact, where their records came from, and what holds images in them."""

    shards: tuple[ShardFile, ...]
    images: tuple[str, ...]
    """Columns of encoded images."""
    masks: tuple[str, ...] = ()
    """Columns of encoded masks."""
    quarantined: int = 0
    """Records that were set aside."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits: those of training, or `ALL` alone."""
        return (ALL,) if any(shard.split == ALL for shard in self.shards) else SPLITS

    @property
    def counts(self) -> dict[str, int]:
        """Records by split."""
        return {split: sum(shard.count for shard in self.of(split)) for split in self.splits}

    @property
    def sources(self) -> list[str]:
        """The data files, each once."""
        return list(dict.fromkeys(origin.file for shard in self.shards for origin in shard.origins))

    def of(self, split: str) -> list[ShardFile]:
        """The files of one split, in the order of their names."""
        return [shard for shard in self.shards if shard.split == split]

    def write(self, uri: str) -> None:
        """Writes the manifest into an Examples artifact."""
        storage.write_text(f"{uri}/{_FILE}", self.model_dump_json(indent=2))

    @classmethod
    def read(cls, uri: str) -> "Manifest":
        """The manifest of an Examples artifact that our ExampleGen wrote."""
        with storage.open_binary(f"{uri}/{_FILE}") as file:
            return cls.model_validate_json(file.read())
