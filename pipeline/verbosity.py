"""How much a run tells on the terminal and in its log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.logging import RichHandler

from hubline.core.progress import LOGGER as PROGRESS
from hubline.pipeline.output import Level


@dataclass(frozen=True)
class Verbosity:
    """How much a run tells.

    Attributes:
        quiet: Whether to print warnings and errors only.
        shows_log: Whether to print the messages of the log, too.
        level: The least severe messages that the log takes.
    """

    quiet: bool = False
    shows_log: bool = False
    level: Level = "info"


NORMAL = Verbosity()


@contextmanager
def log_shown(console: Console) -> Iterator[None]:
    """Prints the messages of Python's `logging` above a live table; the output of C++ code stays in the log file."""
    handler = RichHandler(console=console, show_path=False, rich_tracebacks=False, markup=False)
    handler.addFilter(lambda record: record.name != PROGRESS.name)  # which the display shows
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
