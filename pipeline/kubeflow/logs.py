"""What a pod's log shows: our own words, and the warnings of the libraries below."""

import logging
import sys
import time

_EVERY = 10.0
"""Seconds from one word of progress to the next."""


class _Seldom(logging.Filter):
    """Lets progress through now and then, and at its end."""

    def __init__(self) -> None:
        super().__init__()
        self._last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        progress = getattr(record, "progress", None)
        if progress is None:
            return True
        now = time.monotonic()
        if progress["done"] < progress["total"] and now - self._last < _EVERY:
            return False
        self._last = now
        return True


def to_pod() -> None:
    """Sends our own words to standard output, which the cluster keeps as the pod's log."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    handler.addFilter(_Seldom())
    logger = logging.getLogger("hubline")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
