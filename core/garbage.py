"""Garbage collection around library imports and long lists, whose objects don't become garbage."""

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collecting_none() -> Iterator[None]:
    """Disables garbage collection during imports, which saves a tenth of their time, and exempts the objects that exist
    at the end of the block from all later collections."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def collecting_later() -> Iterator[None]:
    """Disables garbage collection while many objects are made that stay, such as a parsed list of a hundred thousand
    files: otherwise collections that find nothing take most of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def collect_none_at_exit() -> None:
    """Skips the final garbage collection at exit, which would take seconds with all libraries loaded.

    Files are flushed, and `atexit` functions and destructors run as always. Only objects in reference cycles are left
    to the operating system.
    """
    atexit.register(gc.freeze)
