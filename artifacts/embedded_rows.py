"""What Embedder notes beside the rows it writes."""

from hubline.artifacts.examples import Manifest
from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.counts import hold
from hubline.trainer.embeddings import Vectors

_FILE = "rows.json"


class RowFile(Section):
    """The rows of one shard."""

    split: str
    name: str
    """The file in `Split-<split>/`, named as the shard is."""
    records: int
    """Records in the shard."""
    count: int
    """Rows: records that decode."""
    undecodable: tuple[int, ...] = ()
    """The records that have no row, by their number in the shard, from 0."""


class Rows(Section):
    """The rows of all splits: each record less its images, plus what the modules gave for it."""

    files: tuple[RowFile, ...]
    sizes: dict[str, int]
    """How many numbers each hub module gave."""
    recipe: str
    """A digest of modules, features and code: equal ones give equal vectors."""
    embedded: tuple[str, ...]
    """The splits whose rows hold vectors; the others have none that anything could use."""
    views: int
    """How many changed views of each example the training split has; the other splits have one, unchanged."""
    pixels: int = 0
    """Bytes of the images of an example, as pixels."""

    @property
    def vectors(self) -> Vectors:
        """How the vectors in the rows are read."""
        return Vectors(sizes=self.sizes, recipe=self.recipe)

    def recipe_of(self, split: str) -> str | None:
        """What names the vectors that the rows of a split hold, if they hold any."""
        return self.recipe if split in self.embedded else None

    def of(self, split: str) -> list[RowFile]:
        """The files of one split, in the order of their names."""
        return [file for file in self.files if file.split == split]

    def count(self, split: str) -> int:
        """Rows in a split."""
        return sum(file.count for file in self.of(split))

    def undecodable(self, split: str) -> list[int]:
        """The records of a split that have no row, by their number over all its files, one after the other."""
        found, before = [], 0
        for file in self.of(split):
            found += [before + number for number in file.undecodable]
            before += file.records
        return found

    def hold_to(self, manifest: Manifest) -> None:
        """Makes sure that each record has a row, or is known not to decode.

        Args:
            manifest: Of the records that the rows are made from.

        Raises:
            DamageError: where the counts contradict each other.
        """
        for split, records in manifest.counts.items():
            rows = self.count(split) + len(self.undecodable(split))
            hold(f"the rows of the split '{split}', with the records that don't decode", rows, records)

    def write(self, uri: str) -> None:
        """Writes this into an artifact."""
        storage.write_text(f"{uri}/{_FILE}", self.model_dump_json(indent=2))

    @classmethod
    def read(cls, uri: str) -> "Rows":
        """What an artifact of Embedder holds."""
        with storage.open_binary(f"{uri}/{_FILE}") as file:
            return cls.model_validate_json(file.read())
