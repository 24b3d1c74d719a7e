"""What is kept outside the artifacts by what it was made from: made once, and taken again by every later run."""

import hashlib
import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hubline.core import storage
from hubline.core.config_base import Section, is_remote
from hubline.core.seal import Seal

_MARK = "complete"
_LOGGER = logging.getLogger(__name__)


class _Mark(Section):
    """What makes an entry out of the files in a folder."""

    folder: str
    """Where the files are, beside the mark."""
    seal: Seal


def key(*parts: Any) -> str:
    """The SHA-256 of what an entry is made from, anything that JSON can hold."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Store:
    """Folders of files by key. An entry is there whole or not at all, whoever makes it and whenever that is cut short.

    `<key>/<attempt>/` holds the files, and `<key>/complete`, which is written last, names the attempt that counts with
    the digests of its files.
    """

    def __init__(self, folder: str) -> None:
        """A store in a folder or under a URL; made where it is not there."""
        self._folder = folder

    def find(self, key: str, thoroughly: bool = False) -> str | None:
        """The folder of an entry; None where there is none.

        An entry that isn't what was put there is dropped, with a line in the log: it is to be made again.

        Args:
            key: Names the entry.
            thoroughly: Read every file. Otherwise those whose size and time are as they were are believed.
        """
        entry = f"{self._folder}/{key}"
        content = _read(f"{entry}/{_MARK}")
        if content is None:
            return None
        folder = None
        try:
            mark = _Mark.model_validate_json(content)
            folder = f"{entry}/{mark.folder}"
            damage = mark.seal.damage(folder, thoroughly)
        except ValidationError:
            damage = f"{entry}/{_MARK}: it can't be read"
        if damage:
            self._drop(entry, content, folder, damage)
        return None if damage else folder

    @contextmanager
    def making(self, key: str) -> Iterator[str]:
        """A folder to fill, which becomes the entry when the block ends without an exception.

        Of several that make the same entry at once, the one that is done first stays, and the others are dropped.
        """
        entry, attempt = f"{self._folder}/{key}", uuid.uuid4().hex
        folder = f"{entry}/{attempt}"
        stays = False
        if not is_remote(folder):
            Path(folder).mkdir(parents=True)
        try:
            yield folder
            _sync(folder)
            mark = _Mark(folder=attempt, seal=Seal.of(folder))
            stays = storage.write_new(f"{entry}/{_MARK}", mark.to_property().encode())
        finally:
            if not stays:
                storage.remove_tree(folder)

    def sweep(self) -> None:
        """Removes what was left by those who were killed while they made an entry. For when nobody is making one."""
        for key in storage.names(self._folder):
            entry = f"{self._folder}/{key}"
            content = _read(f"{entry}/{_MARK}") or b""
            if not content:
                storage.remove_tree(entry)
            for name in storage.names(entry):
                if name != _MARK and name.encode() not in content:
                    storage.remove_tree(f"{entry}/{name}")

    def drop_damaged(self) -> Iterator[str]:
        """Reads all entries and drops those that aren't what was put there; names their folders."""
        for key in storage.names(self._folder):
            if storage.exists(f"{self._folder}/{key}/{_MARK}") and self.find(key, thoroughly=True) is None:
                yield f"{self._folder}/{key}"

    @staticmethod
    def _drop(entry: str, mark: bytes, folder: str | None, damage: str) -> None:
        """Removes a damaged entry; somebody else may be making it anew already."""
        _LOGGER.warning("%s; what was kept here is dropped and made again", damage)
        # The mark goes first: whoever looks now finds no entry rather than half of one.
        if _read(f"{entry}/{_MARK}") == mark:
            storage.remove(f"{entry}/{_MARK}")
        if folder:
            storage.remove_tree(folder)


def _read(path: str) -> bytes | None:
    """The content of a file; None where there is none."""
    if not storage.exists(path):
        return None
    try:
        with storage.open_binary(path) as file:
            return file.read()
    except FileNotFoundError:  # somebody has just dropped it
        return None


def _sync(folder: str) -> None:
    """Has all that is in a local folder written to the disk."""
    if not is_remote(folder):
        for path in storage.files_below(folder):
            storage.sync(f"{folder}/{path}")
        for inner in (Path(folder), *Path(folder).rglob("*/")):
            storage.sync(str(inner))
