"""Many small requests at a time, for what waits on a store rather than computes."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_AT_ONCE = 16

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(function: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Calls a function for each item, some at a time in threads; yields the results in the order of the items.

    Only a few results wait, however many items there are. The first exception ends the iteration.
    """
    remaining = iter(items)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting: deque[Future[_Result]] = deque(pool.submit(function, item) for item in islice(remaining, 2 * _AT_ONCE))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
