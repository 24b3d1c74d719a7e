"""Notes about a training, which never stop a run."""

from typing import Literal

from hubline.core.config_base import Section
from hubline.trainer.caches import Cache
from hubline.trainer.parameters import ParameterCount

FILE = "training_notes.json"
"""File of `Notes` next to the curves."""


class Note(Section):
    """A note about a training."""

    kind: Literal[
        "data",
        "stands_still",
        "constant",
        "stopped_early",
        "undefined",
        "regularization",
        "checkpoints",
        "warm_start",
        "devices",
        "weights",
        "restarted",
        "threshold",
    ]
    text: str
    epoch: int | None = None
    """The epoch it is about, from 1."""

    @property
    def is_warning(self) -> bool:
        """Whether the model is probably worse than it could be."""
        return self.kind in ("data", "stands_still", "constant", "undefined")

    def __str__(self) -> str:
        return self.text if self.kind == "data" else f"training: {self.text}"


class Notes(Section):
    """The notes of a training."""

    notes: tuple[Note, ...] = ()
    caches: tuple[Cache, ...] = ()
    """How the examples of each phase were cached; phases that an interrupted run had finished are left out."""
    parameters: tuple[ParameterCount, ...] = ()
    """Numbers of parameters of each part of the model."""

    @property
    def warnings(self) -> list[str]:
        """The warnings, one line each."""
        return [str(note) for note in self.notes if note.is_warning]
