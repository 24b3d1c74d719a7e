"""Log messages of a worker as lines of JSON, which the process that started the workers logs as its own."""

import json
import logging
import sys
from typing import Any

_OTHERS = logging.getLogger("hubline.workers")
"""Logs lines that are no messages of ours, such as TensorFlow's."""


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = {"logger": record.name, "level": record.levelno, "message": record.getMessage()}
        progress = getattr(record, "progress", None)
        return json.dumps(said if progress is None else said | {"progress": progress})


def to_parent(level: int = logging.INFO) -> logging.Handler:
    """Sends Hubline's messages of at least this level to standard output, one line each; returns the handler."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_AsJson())
    logger = logging.getLogger("hubline")
    logger.setLevel(level)
    logger.addHandler(handler)
    logger.propagate = False
    return handler


def pass_on(line: str, worker: str) -> None:
    """Logs a line of a worker's output.

    Args:
        line: The line.
        worker: Name of the worker.
    """
    said = _message(line)
    if said is None:
        _OTHERS.debug("%s: %s", worker, line)
        return
    name, level, message = said["logger"], said["level"], said["message"]
    extra = {"progress": said["progress"]} if "progress" in said else {}
    logging.getLogger(name).log(level, "%s: %s", worker, message, extra=extra)


def done(line: str) -> float | None:
    """What a line of a worker's output reports as done; None if it reports no progress."""
    said = _message(line)
    return said["progress"]["done"] if said and "progress" in said else None


def _message(line: str) -> dict[str, Any] | None:
    """A message of ours; None for another line."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    return said if isinstance(said, dict) and said.keys() >= {"logger", "level", "message"} else None
