"""What ExampleGen does with each data file. Workers import this module, and neither TFX nor Beam."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from hubline.artifacts.pins import PinnedFile
from hubline.components.example_gen.ingest_job import IngestResult, Job, Recipe, Stratum
from hubline.components.example_gen.small_files import ingest_group
from hubline.components.example_gen.strata import class_hashes
from hubline.components.example_gen.take import smallest_hashes
from hubline.components.spread.stage import Report
from hubline.core import storage, typed_json

INGESTED_FILE, HASHES_FILE, CLASSES_FILE = "ingested.json", "hashes", "classes.json"
BY_FOLDER = TypeAdapter(dict[str, IngestResult])


@dataclass(frozen=True)
class Task:
    """A file, or several small ones, and the cache key of the result."""

    files: tuple[PinnedFile, ...]
    group: str
    """Their split, if files rather than records are split."""
    key: str
    strata: tuple[Stratum, ...] = ()
    """The classes of `data.split.stratify`."""

    @property
    def name(self) -> str:
        """The first file."""
        return self.files[0].path

    @property
    def count(self) -> int:
        """Number of files."""
        return len(self.files)

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(file.size for file in self.files)

    def jobs(self, recipe: Recipe) -> list[Job]:
        """The files with everything that their result depends on."""
        return [Job.of(recipe, file, self.group, self.strata) for file in self.files]


@dataclass(frozen=True)
class Ingest:
    """Ingests the files of a task."""

    recipe: Recipe

    def __call__(self, task: Task, folder: str, report: Report) -> None:
        """Fills an entry of the cache."""
        ingested = ingest_group(task.jobs(self.recipe), folder)
        storage.write_bytes(f"{folder}/{INGESTED_FILE}", BY_FOLDER.dump_json(ingested))
        report(task.count)


@dataclass(frozen=True)
class Rank:
    """Finds the smallest hashes of the records of a task's files, for those that `data.take` may take."""

    recipe: Recipe
    smallest: int
    """Number of hashes to keep."""

    def __call__(self, task: Task, folder: str, report: Report) -> None:
        """Fills an entry of the cache."""
        hashes = smallest_hashes(task.jobs(self.recipe), self.smallest)
        storage.write_bytes(f"{folder}/{HASHES_FILE}", hashes.tobytes())
        report(task.count)


@dataclass(frozen=True)
class Classify:
    """Finds the hashes of the records of a task's files by class, for `data.split.stratify`."""

    recipe: Recipe
    column: str
    """The column of classes."""

    def __call__(self, task: Task, folder: str, report: Report) -> None:
        """Fills an entry of the cache."""
        hashes = class_hashes(task.jobs(self.recipe), self.column)
        storage.write_bytes(f"{folder}/{CLASSES_FILE}", typed_json.dump(hashes, ()))
        report(task.count)
