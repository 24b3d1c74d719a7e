"""Tries the work of a worker's pod again where a store is silent for a moment: a pod that fails ends its whole job."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from hubline.core import interruption, storage

_LOGGER = logging.getLogger(__name__)

PAUSES_SECONDS = (5.0, 15.0, 45.0, 120.0)
"""Before each further try. The stores' clients have tried a few times by then, for some seconds."""
_FRESH_SECONDS = 600.0
"""A try that went well for so long is followed by all tries again."""
_CHECK_SECONDS = 0.2

T = TypeVar("T")


def patiently(work: Callable[[], T]) -> T:
    """Does work that may be done again, and tries again a few times if a store doesn't answer.

    Raises:
        UserError: the error of the last try, or at once any other error.
        Interrupted: if the process was asked to end.
    """
    pauses = list(PAUSES_SECONDS)
    while True:
        began = time.monotonic()
        try:
            return work()
        except Exception as error:
            if not storage.is_transient(error):
                raise
            if time.monotonic() - began > _FRESH_SECONDS:
                pauses = list(PAUSES_SECONDS)
            if not pauses:
                raise
            seconds = pauses.pop(0)
            _LOGGER.warning("%s; trying again in %g s", error, seconds)
        _wait(seconds)


def _wait(seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        interruption.check()
        time.sleep(min(left, _CHECK_SECONDS))
