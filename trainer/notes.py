"""What is worth knowing of a training and stops nothing."""

from typing import Literal

from preprocessing.section import Section

FILE = "training_notes.json"
"""The file of `Notes` beside the curves."""


class Note(Section):
    """Something worth knowing."""

    kind: Literal["stands_still", "constant", "stopped_early", "regularization"]
    text: str
    epoch: int | None = None
    """The epoch it is about, from 1."""

    @property
    def is_warning(self) -> bool:
        """Whether the model is probably of no use."""
        return self.kind in ("stands_still", "constant")


class Notes(Section):
    """The notes of a training."""

    notes: tuple[Note, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What tells that the model is probably of no use, a line each."""
        return [f"training: {note.text}" for note in self.notes if note.is_warning]
