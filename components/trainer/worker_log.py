"""Log messages of a worker as lines of JSON, which the process that started the workers logs as its own."""

import json
import logging
import sys

_OTHERS = logging.getLogger("hubline.workers")
"""Logs lines that are no messages of ours, such as TensorFlow's."""


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        said = {"logger": record.name, "level": record.levelno, "message": record.getMessage()}
        progress = getattr(record, "progress", None)
        return json.dumps(said if progress is None else said | {"progress": progress})


def to_parent(level: int = logging.INFO) -> None:
    """Sends Hubline's messages of at least this level to standard output, one line each."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_AsJson())
    logger = logging.getLogger("hubline")
    logger.setLevel(level)
    logger.addHandler(handler)
    logger.propagate = False


def pass_on(line: str, worker: str) -> None:
    """Logs a line of a worker's output.

    Args:
        line: The line.
        worker: Name of the worker.
    """
    try:
        said = json.loads(line)
        name, level, message = said["logger"], said["level"], said["message"]
    except (ValueError, TypeError, KeyError):
        _OTHERS.debug("%s: %s", worker, line)
        return
    extra = {"progress": said["progress"]} if "progress" in said else {}
    logging.getLogger(name).log(level, "%s: %s", worker, message, extra=extra)
