"""What the trainings of one process share."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

_Made = TypeVar("_Made")


class Memo:
    """Values that are computed once for several trainings on the same data: functions and rows in memory."""

    is_shared = True
    """Whether there are several trainings."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """The value with this key, which `make` returns the first time."""
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]


class NoMemo(Memo):
    """Shares nothing, so that what a single training no longer needs leaves the memory."""

    is_shared = False

    def once(self, key: Hashable, make: Callable[[], _Made]) -> _Made:
        """What `make` returns."""
        return make()
