"""Progress of a stage: one line for all of its workers."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from hubline.components.spread.stage import Stage, Task
from hubline.core import interruption, progress

_PAUSE_SECONDS = 0.2


class Progress:
    """Counts what tasks report, from any thread, and passes it on a few times a second."""

    def __init__(self, stage: Stage[Any], missing: Sequence[Task]) -> None:
        """What is cached counts as done."""
        self._unit = stage.unit
        self._total = sum(task.count for task in stage.tasks)
        self._done = self._total - sum(task.count for task in missing)
        self._lock = threading.Lock()
        self._reported = 0.0

    def __call__(self, more: int) -> None:
        """Adds to what is done; a negative number takes back what a lost worker had done."""
        interruption.check()
        with self._lock:
            self._done += more
            now = time.monotonic()
            if now - self._reported >= _PAUSE_SECONDS or self._done == self._total:
                self._reported = now
                progress.report(self._done, self._total, self._unit)
