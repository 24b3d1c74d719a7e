"""Reads the parts of an evaluation artifact that the report needs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hubline.core import storage
from hubline.core.config_base import read_sections
from hubline.preprocessing.config import Features, Label


@dataclass(frozen=True)
class EvaluationFiles:
    """The files of an evaluation artifact."""

    folder: str

    @property
    def predictions(self) -> list[str]:
        """TFRecord files of predictions; empty if the artifact has none."""
        return self._in("predictions")

    @property
    def masks(self) -> list[str]:
        """TFRecord files of predicted masks, in the order of the predictions."""
        return self._in("masks")

    @property
    def label(self) -> Label:
        """The label section of the pipeline file."""
        return read_sections(Label, self._text("label.json"))

    @property
    def features(self) -> Features:
        """The features section of the pipeline file; only `pixels` labels store it."""
        return read_sections(Features, self._text("features.json"))

    @property
    def classes(self) -> Sequence[str]:
        """The class names, by index."""
        return json.loads(self._text("classes.json"))

    def _in(self, folder: str) -> list[str]:
        return [f"{self.folder}/{folder}/{name}" for name in storage.names(f"{self.folder}/{folder}")]

    def _text(self, name: str) -> str:
        with storage.open_binary(f"{self.folder}/{name}") as file:
            return file.read().decode()
