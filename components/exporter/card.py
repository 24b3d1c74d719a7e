"""The card of a published hub module: where it comes from and how good it is."""

import json

from hubline.artifacts.decision import Metrics
from hubline.core import storage
from hubline.core.config_base import Section

FILE, README = "assets.extra/card.json", "assets.extra/README.md"
"""The card in a module's folder, for programs and for people."""


class ModuleCard(Section):
    """The card of a published hub module."""

    module: str
    """Its name in `hubs` of the pipeline file that trained it."""
    handle: str
    """The module that it was before."""
    source_sha256: str
    """Digest of that module's files."""
    sha256: str
    """Digest of this module's files without the card."""
    pipeline: str
    """Name of the pipeline that trained it."""
    data: dict[str, str]
    """File pattern of the training data by split; `all` if the pipeline splits them."""
    examples: dict[str, int]
    """Examples by split."""
    metrics: Metrics = {}
    """Test metrics of the model that it was trained in."""
    model: str | None = None
    """Path of that model."""

    @classmethod
    def read(cls, folder: str) -> "ModuleCard | None":
        """The card in a module's folder; None if there is none."""
        if not storage.exists(f"{folder}/{FILE}"):
            return None
        with storage.open_binary(f"{folder}/{FILE}") as file:
            return cls.model_validate_json(file.read())

    def write(self, folder: str) -> None:
        """Writes the card into a module's folder."""
        storage.write_text(f"{folder}/{FILE}", json.dumps(self.model_dump(), indent=2))
        storage.write_text(f"{folder}/{README}", self._text())

    def _text(self) -> str:
        lines = [
            f"# {self.module}",
            "",
            f"{self.handle} (sha256 {self.source_sha256}), fine-tuned by the pipeline {self.pipeline}.",
            "",
            *(f"- data, {split}: `{pattern}`" for split, pattern in self.data.items()),
            *(f"- {split}: {count:,} examples" for split, count in self.examples.items()),
            *(f"- {name}: {'undefined' if value is None else f'{value:.4f}'}" for name, value in self.metrics.items()),
            f"- sha256 of its files without the card: {self.sha256}",
            *([f"- model: `{self.model}`"] if self.model else []),
        ]
        return "\n".join([*lines, ""])
