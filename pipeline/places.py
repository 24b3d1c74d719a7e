"""Where a pipeline keeps what it makes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Places:
    """Where a pipeline keeps what it makes, apart from the models it serves."""

    root: Path

    @property
    def artifacts(self) -> Path:
        """TFX's pipeline root."""
        return self.root / "artifacts"

    @property
    def metadata(self) -> Path:
        """ML Metadata's SQLite file."""
        return self.root / "metadata.sqlite"

    @property
    def checkpoints(self) -> Path:
        """Outside the artifacts: TFX deletes a step's when it fails."""
        return self.root / "checkpoints"

    @property
    def runs(self) -> Path:
        """A folder for each run, with its log and report."""
        return self.root / "runs"
