"""Manifest of the rows that Embedder writes."""

from hubline.artifacts.examples import Manifest
from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.counts import hold
from hubline.core.garbage import collecting_later
from hubline.trainer.embeddings import CachedVectors

_FILE = "rows.json"


class RowFile(Section):
    """The rows of one shard."""

    split: str
    name: str
    """Name of the file in `Split-<split>/`; the same as the shard's."""
    records: int
    """Number of records in the shard."""
    count: int
    """Number of rows, which is the number of decodable records."""
    undecodable: tuple[int, ...] = ()
    """Indices in the shard, from 0, of the records without a row."""


class EmbeddedRows(Section):
    """The rows of all splits: each record without its images, plus the hub modules' outputs for it."""

    files: tuple[RowFile, ...]
    sizes: dict[str, int]
    """Size of each hub module's output."""
    recipe: str
    """Digest of modules, features and code: equal digests mean equal vectors."""
    embedded: tuple[str, ...]
    """Splits whose rows contain vectors. No later step can use vectors of the other splits."""
    views: int
    """Augmented views of each example in the training split. Other splits have one view, without augmentation."""
    pixels: int = 0
    """Bytes of an example's images as pixels."""

    @property
    def vectors(self) -> CachedVectors:
        """The format of the vectors in the rows."""
        return CachedVectors(sizes=self.sizes, recipe=self.recipe)

    def recipe_of(self, split: str) -> str | None:
        """Digest of the vectors in the rows of a split; None if they contain none."""
        return self.recipe if split in self.embedded else None

    def of(self, split: str) -> list[RowFile]:
        """The files of one split, in order of their names."""
        return [file for file in self.files if file.split == split]

    def count(self, split: str) -> int:
        """Number of rows in a split."""
        return sum(file.count for file in self.of(split))

    def undecodable(self, split: str) -> list[int]:
        """Indices of a split's records without a row, counted over all its files."""
        found, before = [], 0
        for file in self.of(split):
            found += [before + number for number in file.undecodable]
            before += file.records
        return found

    def check_against(self, manifest: Manifest) -> None:
        """Checks that each record has a row or is known to be undecodable.

        Args:
            manifest: Manifest of the records that the rows are made from.

        Raises:
            DamageError: if the counts disagree.
        """
        for split, records in manifest.counts.items():
            rows = self.count(split) + len(self.undecodable(split))
            hold(f"the rows of the split '{split}', with the records that don't decode", rows, records)

    def write(self, uri: str) -> None:
        storage.write_text(f"{uri}/{_FILE}", self.to_property())

    @classmethod
    def read(cls, uri: str) -> "EmbeddedRows":
        with collecting_later():
            return cls.model_validate_json(storage.read_bytes(f"{uri}/{_FILE}"))
