"""Interface of models to predict with, and their output."""

import gc
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from hubline.components.predictor.inputs import InputType, Item


@dataclass(frozen=True)
class Answer:
    """A model's output for one item."""

    json_values: Mapping[str, Any]
    """As JSON values."""
    columns: Mapping[str, np.ndarray]
    """As tf.Example columns: arrays of numbers, booleans or bytes, of any shape."""
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Image outputs, uint8 [height, width, 1 or 3], or masks of class numbers, uint8 [height, width]."""
    image: bytes | None = None
    """The encoded input image, if objects were detected in it."""
    covers: Sequence[float] | None = None
    """Extent of the mask in that image: top, left, bottom and right as fractions of the image."""

    @property
    def found(self) -> list[Mapping[str, Any]]:
        """The detected objects in the format of `pictures.drawn`: a detector's, or the single predicted box."""
        if "detections" in self.json_values:
            return self.json_values["detections"]
        return [
            {
                "box": self.json_values["box"],
                "name": self.json_values["label"],
                "class": None,
                "score": self.json_values["score"],
            }
        ]


class Model(ABC):
    one_at_a_time: bool = False
    """Whether the batch size is limited to 1."""
    finds: bool = False
    """Whether it detects objects in images, which can be drawn."""

    @abstractmethod
    def ask(self, input_type: InputType, items: Sequence[Item]) -> list[Answer]:
        """Predicts on items.

        Raises:
            tf.errors.InvalidArgumentError: if the model rejects an item.
            DataError: likewise, with the names of the items.
        """

    @abstractmethod
    def check(self, input_type: InputType) -> None:
        """Raises a UserError if the model cannot predict on items of a type."""


class ModelSpec(ABC):
    """A reference to a model and its options: hashable, and small enough to send to workers."""

    @abstractmethod
    def open(self) -> Model:
        """Loads the model. Raises a UserError if it can't be used this way."""


@lru_cache(maxsize=1)
def opened(model_spec: ModelSpec) -> Model:
    """Loads the model once per process."""
    model = model_spec.open()
    # Exempts the million objects of libraries and the model from garbage collection; scanning them during prediction
    # would take as long as the predictions.
    gc.freeze()
    return model
