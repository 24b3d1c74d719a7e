"""Garbage collection around the libraries: their imports make a million objects, none of which becomes garbage."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_none() -> Iterator[None]:
    """Collects no garbage in a block of imports, which takes a tenth of their time, and leaves the objects that are
    there by its end out of every later collection."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_none_at_exit() -> None:
    """Lets the process end without a last search for garbage in all that is loaded, which takes seconds.

    Files are flushed, and `atexit` functions and destructors run, as always. Only objects that refer to each other in a
    circle are left to the system.
    """
    atexit.register(gc.freeze)
