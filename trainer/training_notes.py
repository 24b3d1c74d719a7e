"""What is worth knowing of a training and stops nothing."""

from typing import Literal

from hubline.core.config_base import Section

FILE = "training_notes.json"
"""The file of `Notes` beside the curves."""


class Note(Section):
    """Something worth knowing."""

    kind: Literal["data", "stands_still", "constant", "stopped_early", "regularization"]
    text: str
    epoch: int | None = None
    """The epoch it is about, from 1."""

    @property
    def is_warning(self) -> bool:
        """Whether the model is probably of less use than it could be."""
        return self.kind in ("data", "stands_still", "constant")

    def __str__(self) -> str:
        """One line."""
        return self.text if self.kind == "data" else f"training: {self.text}"


class Notes(Section):
    """The notes of a training."""

    notes: tuple[Note, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """The notes that are warnings, a line each."""
        return [str(note) for note in self.notes if note.is_warning]
