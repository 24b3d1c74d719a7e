"""What is kept outside the artifacts by what it was made from: made once, and taken again by every later run."""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components import storage
from preprocessing.section import is_remote

_COMPLETE = "complete"
_UNFINISHED = ".unfinished-"


def key(*parts: Any) -> str:
    """The SHA-256 of what an entry is made from, anything that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Store:
    """Folders of files by key. An entry is there whole or not at all, whenever its making was cut short."""

    def __init__(self, folder: str) -> None:
        """A store in a folder or under a URL; made where it is not there."""
        self._folder = folder

    def find(self, key: str) -> str | None:
        """The folder of an entry; None where there is none."""
        folder = f"{self._folder}/{key}"
        return folder if storage.exists(f"{folder}/{_COMPLETE}") else None

    @contextmanager
    def making(self, key: str) -> Iterator[str]:
        """A folder to fill, which becomes the entry when the block ends without an exception.

        On a local disk it is filled under another name and then renamed, which is atomic; in an object store, which has
        no such rename, a mark that `find` looks for is written last.
        """
        if is_remote(self._folder):
            storage.remove_files_below(f"{self._folder}/{key}")  # what an earlier, unfinished making left
            yield f"{self._folder}/{key}"
            storage.write_bytes(f"{self._folder}/{key}/{_COMPLETE}", b"")
            return
        entry = Path(self._folder, key)
        unfinished = entry.with_name(f"{key}{_UNFINISHED}{uuid.uuid4().hex}")
        unfinished.mkdir(parents=True)
        try:
            yield str(unfinished)
            (unfinished / _COMPLETE).touch()
            if not entry.exists():  # another worker may have made the same meanwhile
                unfinished.rename(entry)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
