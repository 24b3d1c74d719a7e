"""Files of the other forms of a model in its SavedModel's folder, and how well they agree with it."""

import json

from hubline.core import storage
from hubline.core.config_base import Section

FOLDER = "assets.extra/exports"
"""Folder in the SavedModel, in the subfolder reserved for others."""
TFLITE, FROZEN_GRAPH, LABELS = "model.tflite", "frozen_graph.pb", "labels.txt"
"""Names in this folder. `LABELS` has the class names, one per line, in the order of the scores."""
_FILE = f"{FOLDER}/exports.json"


class TensorInfo(Section):
    """An input or output of a form of the model."""

    dtype: str
    shape: tuple[int | None, ...]


class Form(Section):
    """A form of the model, compared with the SavedModel."""

    file: str
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]
    records: int
    """Number of records of the test split that were compared."""
    differences: dict[str, float | None]
    """Greatest difference by output, as `differences` measures it; None if an answer is not finite."""
    bound: float
    """Greatest difference that is permitted."""

    @property
    def difference(self) -> float | None:
        """The greatest difference; None if an answer is not finite."""
        found = list(self.differences.values())
        return None if None in found else max((each for each in found if each is not None), default=0.0)

    @property
    def agrees(self) -> bool:
        """Whether the form answers as the SavedModel does."""
        return self.difference is not None and self.difference <= self.bound


class Forms(Section):
    """All other forms of a model, by their keys in the section `export`."""

    forms: dict[str, Form]

    @classmethod
    def read(cls, model: str) -> "Forms":
        """Reads what `write` wrote; empty if the SavedModel has no other forms."""
        if not storage.exists(f"{model}/{_FILE}"):
            return cls(forms={})
        with storage.open_binary(f"{model}/{_FILE}") as file:
            return cls.model_validate_json(file.read())

    def write(self, model: str) -> None:
        """Writes them into the folder of a SavedModel."""
        storage.write_text(f"{model}/{_FILE}", json.dumps(self.model_dump(), indent=2, sort_keys=True))
