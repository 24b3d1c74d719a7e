"""What ExampleGen does with each data file. Workers import this module, and neither TFX nor Beam."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from hubline.components.example_gen.ingest_job import IngestResult, Job
from hubline.components.example_gen.small_files import ingest_group
from hubline.components.example_gen.take import smallest_hashes
from hubline.components.spread.stage import Report
from hubline.core import storage

INGESTED_FILE, HASHES_FILE = "ingested.json", "hashes"
BY_FOLDER = TypeAdapter(dict[str, IngestResult])


@dataclass(frozen=True)
class Task:
    """A file, or several small ones, to ingest, and the cache key of the result."""

    jobs: tuple[Job, ...]
    key: str

    @property
    def name(self) -> str:
        """The first file."""
        return self.jobs[0].file.path

    @property
    def count(self) -> int:
        """Number of files."""
        return len(self.jobs)

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(job.file.size for job in self.jobs)

    def run(self, folder: str) -> None:
        """Ingests the files into a folder of the cache."""
        storage.write_bytes(f"{folder}/{INGESTED_FILE}", BY_FOLDER.dump_json(ingest_group(self.jobs, folder)))


@dataclass(frozen=True)
class Ranking(Task):
    """The same files to look for the records that `data.take` may take."""

    smallest: int
    """Number of hashes to keep."""

    def run(self, folder: str) -> None:
        """Writes the smallest hashes of their records."""
        storage.write_bytes(f"{folder}/{HASHES_FILE}", smallest_hashes(self.jobs, self.smallest).tobytes())


def run(task: Task, folder: str, report: Report) -> None:
    """Fills an entry of the cache."""
    task.run(folder)
    report(task.count)
