"""The rows of one shard."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import tensorflow_transform as tft

from hubline.components.spread.stage import Report
from hubline.core import storage
from hubline.core.shard_cache import ShardCache
from hubline.preprocessing.columns import ParsingSpec
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.module_features import ModuleFeatures
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.embed import Embedder, EmbedResult

_ROWS, _EMBEDDED = "rows", "embedded.json"


@dataclass(frozen=True)
class EmbedTask:
    """A shard to embed."""

    name: str
    """Its path."""
    count: int
    """Number of records."""
    key: str
    """Key of the rows in the shard cache."""
    views: int
    """Augmented views of each example to store; with 0, rows contain no vectors."""
    augment: tuple[Augmentation, ...]
    seed: int

    @property
    def size(self) -> int:
        """Bytes of the shard."""
        return storage.stat(self.name).size


@dataclass(frozen=True)
class EmbedShard:
    """Writes the rows of a shard."""

    hubs: Hubs
    folders: Mapping[str, str]
    """Folder of each module."""
    features: ModuleFeatures
    spec: ParsingSpec
    mask: PixelsLabel | None
    transform_graph: str | None
    """Folder of the transform graph, if numbers are normalized by statistics."""

    def __call__(self, task: EmbedTask, folder: str, report: Report) -> None:
        """Fills an entry of the cache."""
        embedder = self._with_modules if task.views else self._without_modules
        views = max(task.views, 1)
        embedded = embedder.embed(task.name, task.count, f"{folder}/{_ROWS}", views, task.augment, task.seed, report)
        storage.write_bytes(f"{folder}/{_EMBEDDED}", embedded.to_property().encode())

    def __getstate__(self) -> dict[str, Any]:
        """Without the modules, which other processes open themselves."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _with_modules(self) -> Embedder:
        return self._open(self.hubs)

    @cached_property
    def _without_modules(self) -> Embedder:
        return self._open({})

    def _open(self, hubs: Hubs) -> Embedder:
        transform = tft.TFTransformOutput(self.transform_graph) if self.transform_graph else None
        return Embedder(hubs, self.folders, self.features, self.spec, self.mask, transform)


def link_rows(store: str, task: EmbedTask, target: str) -> EmbedResult:
    """Puts the rows of a finished task at a path."""
    found = ShardCache(store).found(task.key, task.name)
    storage.link(f"{found}/{_ROWS}", target)
    return EmbedResult.model_validate_json(storage.read_bytes(f"{found}/{_EMBEDDED}"))
