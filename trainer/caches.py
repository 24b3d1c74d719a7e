"""Decides where and in which form the examples of an epoch are cached for later epochs.

The decisions depend only on known facts: the settings in `training`, file sizes, kinds of features and the machine's
memory. As neither time measurements nor free memory matter, they are the same in every run with the same settings on
the same machine.
"""

from typing import Literal

from hubline.core.config_base import Section
from hubline.core.memory import memory_size
from hubline.preprocessing.config import Features
from hubline.preprocessing.kinds.kind import CategoryKind
from hubline.trainer.config.training import Training

MANY_ROWS = 100_000
"""Number of rows, over all epochs, above which transforming them once pays off."""

_SHARE_OF_MEMORY = 4
"""By default, `cache_bytes` is memory divided by this: there are two splits, and TensorFlow and the model need room."""


class Cache(Section):
    """How the examples of a split are cached."""

    split: Literal["train", "validation"]
    first_epoch: int
    """Counted from 1."""
    last_epoch: int
    form: Literal["rows", "transformed_rows", "images"]
    """Rows as Embedder wrote them, rows after the transform graph, or decoded images with their rows."""
    size: int
    """Estimated size of all examples in bytes."""
    place: Literal["memory", "disk"]

    def __str__(self) -> str:
        return (
            f"epochs {self.first_epoch} to {self.last_epoch} cache {self.form} of the {self.split} split, "
            f"about {self.size:,} bytes, {'in memory' if self.place == 'memory' else 'on disk'}"
        )


def transforms_once(training: Training, features: Features, reads: int) -> bool:
    """Whether rows are cached after the transform graph, so that later epochs only parse them.

    Looking up categories takes longer than reading their indices; scaling numbers doesn't.

    Args:
        training: Its `materialize` decides, unless it is `auto`.
        features: The features that the transform graph computes for the model.
        reads: Number of rows read over all epochs.
    """
    if training.materialize != "auto":
        return training.materialize
    categories = sum(isinstance(feature, CategoryKind) for feature in features.values())
    return reads >= MANY_ROWS and 0 < len(features) <= 2 * categories


def place_of(training: Training, size: int, processes: int = 1) -> Literal["memory", "disk"]:
    """Where each of the processes on this machine that train together caches examples of `size` bytes."""
    share = memory_size() // (_SHARE_OF_MEMORY * processes)
    limit = share if training.cache_bytes is None else training.cache_bytes
    return "memory" if size <= limit else "disk"
