"""Where a pipeline keeps what it makes."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hubline.core.errors import UserError


@dataclass(frozen=True)
class OnCluster:
    """Where a pipeline on a cluster keeps what its backend does not keep for it."""

    state: str
    """A folder that every step sees: on a volume, or a URL."""

    @property
    def checkpoints(self) -> str:
        """As of `Places`."""
        return f"{self.state}/checkpoints"

    @property
    def store(self) -> str:
        """As of `Places`."""
        return f"{self.state}/store"


@dataclass(frozen=True)
class Places:
    """Where a pipeline keeps what it makes, apart from the models it serves."""

    root: Path

    @classmethod
    def of(cls, path: Path, name: str, root: Path | None) -> "Places":
        """The places of the pipeline `name` in the file `path`: in `root`, or in `.hubline/<name>` beside the file."""
        return cls((root or path.parent / ".hubline" / name).absolute())

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keeps a second run out while one is at work here; the system lets go when the process ends, however it does.

        Raises:
            UserError: where another run is at work.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"{self.root}: another run of this pipeline is at work; wait for it, or give --root"
                ) from None
            yield

    @property
    def artifacts(self) -> Path:
        """TFX's pipeline root."""
        return self.root / "artifacts"

    @property
    def seals(self) -> Path:
        """What the files of each artifact were when they were written."""
        return self.artifacts / ".seals"

    @property
    def metadata(self) -> Path:
        """ML Metadata's SQLite file."""
        return self.root / "metadata.sqlite"

    @property
    def checkpoints(self) -> Path:
        """Outside the artifacts: TFX deletes a step's when it fails."""
        return self.root / "checkpoints"

    @property
    def store(self) -> Path:
        """What is kept by its content for later runs: ingested shards, their statistics, vectors. Safe to delete."""
        return self.root / "store"

    @property
    def runs(self) -> Path:
        """A folder for each run, with its log and report."""
        return self.root / "runs"
