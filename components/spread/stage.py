"""Work that a step does shard by shard, whose results go to the shard cache."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hubline.core.shard_cache import ShardCache

Report = Callable[[int], None]
"""Called with the number of further records, or files, that are done."""

_LOOK_UPS = 16
"""Entries of the cache that are looked up at once; in an object store, each takes several requests."""


class ShardTask(Protocol):
    """A shard and what to compute from it; small, and picklable."""

    @property
    def key(self) -> str:
        """Key of the result in the shard cache."""

    @property
    def name(self) -> str:
        """Path of the shard, for messages."""

    @property
    def count(self) -> int:
        """Records, or files, in the unit of the stage."""

    @property
    def size(self) -> int:
        """Bytes to read."""


Task = TypeVar("Task", bound=ShardTask)


@dataclass(frozen=True)
class Stage(Generic[Task]):
    """Tasks, and the function that does one of them. Where they are done changes no result."""

    name: str
    """What is computed, such as "vectors", for messages."""
    unit: str
    """What `count` counts, in the plural, for the progress."""
    tasks: Sequence[Task]
    """All tasks in the order of the shards, including those whose result is cached."""
    fill: Callable[[Task, str, Report], None]
    """Fills a local folder, which becomes the entry of the cache. Picklable; opens models on first use, and keeps them
    for the following tasks. Called for one task at a time in each process, unless `at_once` is higher."""
    store: str
    """Folder of the shard cache."""
    weight: float
    """Work per byte: one of `components.spread.weights`."""
    at_once: int = 1
    """Tasks that a process does at the same time, in threads."""
    runs_models: bool = False
    """Whether a GPU does most of the work. On one machine, only one process uses it."""

    @property
    def distinct(self) -> list[Task]:
        """The tasks with different keys: equal shards are done once."""
        firsts: dict[str, Task] = {}
        for task in self.tasks:
            firsts.setdefault(task.key, task)
        return list(firsts.values())

    def missing(self) -> list[Task]:
        """The distinct tasks whose result is not cached."""
        cache, tasks = ShardCache(self.store), self.distinct
        with ThreadPoolExecutor(_LOOK_UPS) as pool:
            found = pool.map(lambda task: cache.find(task.key), tasks)
            return [task for task, folder in zip(tasks, found, strict=True) if folder is None]

    def do(self, task: Task, report: Report) -> None:
        """Does a task, and caches the result."""
        with ShardCache(self.store).making(task.key) as folder:
            self.fill(task, folder, report)
