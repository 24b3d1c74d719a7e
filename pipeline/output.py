"""Separates Hubline's output from the thousands of lines that libraries print."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Literal, TextIO, TypeAlias

import absl.logging

NOWHERE = Path(os.devnull)

Level: TypeAlias = Literal["debug", "info", "warning", "error"]


@contextmanager
def into_log(path: Path, level: Level = "info") -> Iterator[tuple[TextIO, TextIO]]:
    """Redirects standard output and error to a file, including those of C++ code, child processes and notebooks.

    Args:
        path: The log file, which is appended to. `NOWHERE` discards everything.
        level: The least severe messages of Python's `logging` that the file takes.

    Yields:
        The original standard output and standard error, for the user.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with (
        _for_a_person(sys.stdout, sys.__stdout__, kept[0]) as stdout,
        _for_a_person(sys.stderr, sys.__stderr__, kept[1]) as stderr,
        path.open("a", encoding="utf-8", errors="backslashreplace") as log,
        _through_descriptors(),
    ):
        handler = logging.StreamHandler(log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        beam = logging.getLogger("apache_beam")
        levels = root.level, absl.logging.get_verbosity(), beam.level
        handler.setLevel(level.upper())  # loggers with a level of their own pass on more than the root's
        root.addHandler(handler)
        root.setLevel(level.upper())
        absl.logging.set_verbosity(level)  # TFX logs through absl
        if level == "debug":  # Beam's own debug messages fail on coders without a value, and the job with them
            beam.setLevel(logging.INFO)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield stdout, stderr
        finally:
            for stream in (sys.stdout, sys.stderr, log):
                _flush_or_drop(stream)
            root.removeHandler(handler)
            root.setLevel(levels[0])
            absl.logging.set_verbosity(levels[1])
            beam.setLevel(levels[2])
            for descriptor, original in enumerate(kept, start=1):
                os.dup2(original, descriptor)
                os.close(original)


def _flush_or_drop(stream: TextIO) -> None:
    """Writes what a stream holds back, or drops it where the disk of the log is full: closing the stream must not hide
    why the run ended, nor the text end up on the user's terminal."""
    try:
        stream.flush()
    except OSError:
        with NOWHERE.open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
        stream.flush()


def _for_a_person(stream: TextIO, original: TextIO | None, descriptor: int) -> AbstractContextManager[TextIO]:
    """The stream for the user: the stream itself if it is a notebook's own, otherwise a copy of the original
    descriptor."""
    if stream is not original:
        return nullcontext(stream)
    # Characters that the terminal cannot show are replaced, so that a run doesn't fail because of its output.
    return os.fdopen(os.dup(descriptor), "w", encoding=stream.encoding, errors="replace")


@contextmanager
def _through_descriptors() -> Iterator[None]:
    """Makes prints and log handlers write to the descriptors if they don't already, as in a notebook."""
    originals = ((sys.stdout, sys.__stdout__), (sys.stderr, sys.__stderr__))
    replaced = {stream: original for stream, original in originals if stream is not original}
    loggers = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    handlers = {handler for logger in loggers for handler in getattr(logger, "handlers", ())}
    moved = [
        (handler, handler.stream)
        for handler in handlers
        # Handlers that look up `sys.stderr` at each write store no stream and need no change.
        if isinstance(handler, logging.StreamHandler) and vars(handler).get("stream") in replaced
    ]
    for handler, stream in moved:
        handler.setStream(replaced[stream])
    try:
        with redirect_stdout(sys.__stdout__), redirect_stderr(sys.__stderr__):
            yield
    finally:
        for handler, stream in moved:
            handler.setStream(stream)
