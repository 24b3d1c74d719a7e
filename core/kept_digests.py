"""What was read in source files, kept between processes by the files' contents.

Reading all of Hubline's modules takes a second of each process. The file is in the user's cache folder
(https://specifications.freedesktop.org/basedir-spec/latest/) and safe to delete.
"""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from hubline.core import storage

_MOST = 20_000
"""Number of entries, about 10 MB, above which the oldest are dropped."""


class KeptDigests:
    """Values by key, of which those that are added are kept for later processes."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._values: dict[str, Any] = {}
        self._has_new = False
        with suppress(OSError, ValueError):  # absent, unreadable or damaged: everything is read again
            found = json.loads(storage.read_bytes(path))
            self._values = found if isinstance(found, dict) else {}

    def get(self, key: str) -> Any:
        """The value; None if there is none."""
        return self._values.get(key)

    def add(self, key: str, value: Any) -> None:
        """Adds a value, which `save` keeps."""
        self._values[key] = value
        self._has_new = True

    def save(self) -> None:
        """Keeps what was added. Of several processes that save at once, one wins; where nothing can be written, as in a
        read-only home folder, nothing is kept."""
        if not self._has_new:
            return
        self._has_new = False
        newest = dict(list(self._values.items())[-_MOST:])
        with suppress(OSError):
            storage.write_text(self._path, json.dumps(newest))


def key_of(source: bytes, *about: str) -> str:
    """The key for the contents of a file and what else a value depends on."""
    return hashlib.sha256(b"\0".join([*(each.encode() for each in about), source])).hexdigest()


@cache
def kept_by(readers: Sequence[str]) -> KeptDigests:
    """The values that certain code reads from sources, in this version of Python.

    Args:
        readers: Source files of that code; other versions of them have values of their own.
    """
    code = hashlib.sha256(b"\0".join(map(storage.read_bytes, readers))).hexdigest()
    folder = os.environ.get("XDG_CACHE_HOME") or f"{Path.home()}/.cache"
    return KeptDigests(f"{folder}/hubline/sources-{sys.implementation.cache_tag}-{code[:16]}.json")
