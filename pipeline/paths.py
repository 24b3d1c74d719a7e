"""Locations of a pipeline's files."""

import fcntl
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hubline.core.errors import UserError


@dataclass(frozen=True)
class ClusterPaths:
    """Locations of files that the backend of a cluster doesn't manage."""

    state: str
    """A folder that every step can access: on a volume, or a URL."""

    @property
    def checkpoints(self) -> str:
        """As in `Paths`."""
        return f"{self.state}/checkpoints"

    @property
    def store(self) -> str:
        """As in `Paths`."""
        return f"{self.state}/store"

    @property
    def pins(self) -> str:
        """As in `Paths`."""
        return f"{self.state}/pins"


@dataclass(frozen=True)
class Paths:
    """Locations of a pipeline's files, except the models it serves."""

    root: Path

    @classmethod
    def of(cls, path: Path, name: str, root: Path | None) -> "Paths":
        """Locations of the pipeline `name` in the file `path`: in `root`, or in `.hubline/<name>` next to the file.

        Raises:
            UserError: if `root` is a URL.
        """
        if root and re.match("[a-z][a-z0-9+.-]+:/", str(root)):  # a Path has no repeated slashes
            raise UserError(
                f"--root {root}: must be a folder on this machine, because ML Metadata and TFX's artifacts need one; "
                "data, modules and destinations may be in stores"
            )
        return cls((root or path.parent / ".hubline" / name).absolute())

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Holds a lock against other runs; the system releases it when the process ends in any way.

        Raises:
            UserError: if another run holds the lock, or the folder can't be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            opened = (self.root / "lock").open("w")
        except OSError as error:
            raise UserError(
                f"{self.root}: a run's files can't be written here: {error.strerror}; make the folder writable, or "
                "name another with --root"
            ) from error
        with opened as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"{self.root}: another run of this pipeline is active; wait for it, or use another --root"
                ) from None
            yield

    @property
    def artifacts(self) -> Path:
        """TFX's pipeline root."""
        return self.root / "artifacts"

    @property
    def seals(self) -> Path:
        """Digests of the artifacts' files at the time of writing."""
        return self.artifacts / ".seals"

    @property
    def metadata(self) -> Path:
        """ML Metadata's SQLite file."""
        return self.root / "metadata.sqlite"

    @property
    def checkpoints(self) -> Path:
        """Outside of the artifacts, because TFX deletes those of a failed step."""
        return self.root / "checkpoints"

    @property
    def store(self) -> Path:
        """Cache for later runs, keyed by content: ingested shards, their statistics, vectors. Safe to delete."""
        return self.root / "store"

    @property
    def pins(self) -> Path:
        """Lists of data files, each under its digest."""
        return self.root / "pins"

    @property
    def runs(self) -> Path:
        """One folder per run, with its log and report."""
        return self.root / "runs"
