"""Keeps a run's own words apart from the thousands of lines that the libraries below it print."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import absl.logging

NOWHERE = Path(os.devnull)


@contextmanager
def into_log(path: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Sends standard output and error into a file, those of C++ and of child processes too.

    Args:
        path: The log file; what is there is kept. `NOWHERE` keeps nothing.

    Yields:
        The real standard output and standard error, for what a person is to see.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with os.fdopen(os.dup(kept[0]), "w") as stdout, os.fdopen(os.dup(kept[1]), "w") as stderr, path.open("a") as log:
        handler = logging.StreamHandler(log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.getLogger().addHandler(handler)
        logging.getLogger().setLevel(logging.INFO)
        absl.logging.set_verbosity(absl.logging.INFO)  # TFX's own words
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield stdout, stderr
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            logging.getLogger().removeHandler(handler)
            for descriptor, original in enumerate(kept, start=1):
                os.dup2(original, descriptor)
                os.close(original)
