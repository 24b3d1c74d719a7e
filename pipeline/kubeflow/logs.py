"""Logging in a pod: Hubline's own messages, and warnings of the libraries."""

import logging
import sys
import time

_EVERY_SECONDS = 10.0
"""Minimum interval between progress messages."""


class RateLimit(logging.Filter):
    """Rate-limits progress messages; the last one always passes."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self._last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        progress = getattr(record, "progress", None)
        if progress is None:
            return True
        now = time.monotonic()
        if progress["done"] < progress["total"] and now - self._last < self._seconds:
            return False
        self._last = now
        return True


def to_pod() -> None:
    """Sends Hubline's messages to standard output, which the cluster stores as the pod's log."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    handler.addFilter(RateLimit(_EVERY_SECONDS))
    logger = logging.getLogger("hubline")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    logger.propagate = False
