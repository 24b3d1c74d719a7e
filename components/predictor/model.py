"""What can be asked, and what it answers."""

import gc
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from hubline.components.predictor.inputs import Item, Sort


@dataclass(frozen=True)
class Answer:
    """What a model says of one item."""

    said: Mapping[str, Any]
    """As JSON has it."""
    columns: Mapping[str, np.ndarray]
    """As a tf.Example has it: under each name numbers, booleans or bytes, of any shape."""
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Outputs that are pictures, uint8 [height, width, 1 or 3]; or masks of class numbers, uint8 [height, width]."""
    image: bytes | None = None
    """The encoded image that it was asked about, where it found things in it."""
    covers: Sequence[float] | None = None
    """Where in that image the mask is that `pictures` has: top, left, bottom and right in its shares."""

    @property
    def found(self) -> list[Mapping[str, Any]]:
        """The things that were found, as `pictures.drawn` takes them: those of a detector, or the one that is told."""
        if "detections" in self.said:
            return self.said["detections"]
        return [{"box": self.said["box"], "name": self.said["label"], "class": None, "score": self.said["score"]}]


class Model(ABC):
    """A model that answers."""

    one_at_a_time: bool = False
    """Whether it takes batches of one item only."""
    finds: bool = False
    """Whether it finds things in images, which can be drawn."""

    @abstractmethod
    def ask(self, sort: Sort, items: Sequence[Item]) -> list[Answer]:
        """What it says of each of some items.

        Raises:
            tf.errors.InvalidArgumentError: where it does not take one of them.
            DataError: the same; names each.
        """

    @abstractmethod
    def check(self, sort: Sort) -> None:
        """Raises a UserError where it can be asked about no item of a sort."""


class Asked(ABC):
    """Which model is asked and how: small enough to be sent to workers, and hashable."""

    @abstractmethod
    def open(self) -> Model:
        """Loads the model. Raises a UserError where it cannot be asked so."""


@lru_cache(maxsize=1)
def opened(asked: Asked) -> Model:
    """The model, loaded once in a process."""
    model = asked.open()
    # The million objects that libraries and models are made of stay, and each search for garbage among the predictions
    # would go through them: that takes as long as the predictions.
    gc.freeze()
    return model
