"""Cache outside of the artifacts, keyed by inputs: an entry is made once and reused by every later run."""

import errno
import hashlib
import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hubline.core import storage
from hubline.core.config_base import Section, is_remote
from hubline.core.digest import file_digest
from hubline.core.errors import DamageError
from hubline.core.seal import Seal

_MARK = "complete"
_MAKING = ".making"
"""Folder with an empty file, `<key>.<attempt>`, for each attempt that is under way or was cut short."""
ABANDONED_AFTER = timedelta(days=7)
"""On a shared cache, an attempt is taken for dead if nothing has been written to it for so long. In a store, an attempt
has files only while they are uploaded; on a disk, the files of a live one grow."""
_END_OF_TIME = 2**63
_LOGGER = logging.getLogger(__name__)


class _Mark(Section):
    """Turns the files in a folder into an entry."""

    folder: str
    """Name of the folder next to the mark."""
    seal: Seal


def key(*parts: Any) -> str:
    """SHA-256 key of an entry's inputs, which may be anything that JSON can represent."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class ShardCache:
    """Folders of files by key. An entry exists completely or not at all, however many processes write it and whenever
    one of them is killed.

    `<key>/<attempt>/` contains the files. `<key>/complete` is written last; it names the valid attempt and the digests
    of its files. So an entry is found by two requests to a store, however many files it has.
    """

    def __init__(self, folder: str) -> None:
        """A cache in a folder or under a URL, which is created if necessary."""
        self._folder = folder

    def find(self, key: str, thoroughly: bool = False) -> str | None:
        """The folder of an entry; None if there is none.

        A damaged entry is dropped with a log message, to be made again.

        Args:
            key: Key of the entry.
            thoroughly: Whether to read every file. Otherwise files with an unchanged size and time are trusted.
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

    def found(self, key: str, name: str) -> str:
        """The folder of an entry that a step has made or found before.

        Args:
            key: Key of the entry.
            name: What the entry was made of, for the error.

        Raises:
            DamageError: if there is none any more.
        """
        folder = self.find(key)
        if folder is None:
            raise DamageError(f"{name}: its result is no longer in the store {self._folder}; run again")
        return folder

    @contextmanager
    def making(self, key: str) -> Iterator[str]:
        """Yields a local folder to fill, which becomes the entry if the block ends without an exception.

        If several processes make the same entry, the first to finish wins and the others' files are removed.
        """
        entry, attempt = f"{self._folder}/{key}", uuid.uuid4().hex
        folder, note = f"{entry}/{attempt}", f"{self._folder}/{_MAKING}/{key}.{attempt}"
        stays = False
        storage.touch(note)
        try:
            with storage.filling(folder) as local:
                yield local
                digests = {path: file_digest(f"{local}/{path}") for path in storage.files_below(local)}
                if not is_remote(note) and not storage.exists(note):
                    raise FileNotFoundError(errno.ENOENT, "the files were idle for days and have been swept", folder)
            _sync(folder)
            mark = _Mark(folder=attempt, seal=Seal.of(folder, digests))
            stays = storage.write_new(f"{entry}/{_MARK}", mark.to_property().encode())
        finally:
            if not stays:
                storage.remove_tree(folder)
            storage.remove(note)

    def sweep(self, idle_for: timedelta = ABANDONED_AFTER) -> None:
        """Removes the files of killed processes. Takes time for attempts, not for entries.

        Args:
            idle_for: Time without a sign of life, by the clock of the disk or store, after which an attempt is taken
                for dead. Zero only if nobody can be making an entry.
        """
        # If nobody can be making an entry, times don't count: they are in the future if the clock was set back.
        before = self._now() - idle_for // timedelta(microseconds=1) * 1000 if idle_for else _END_OF_TIME
        for name, started in storage.stats_below(f"{self._folder}/{_MAKING}").items():
            key, _, attempt = name.rpartition(".")
            written = storage.stats_below(f"{self._folder}/{key}/{attempt}") if key else {}
            if all(stat.modified <= before for stat in (started, *written.values())):
                if key:
                    self._remove_attempt(f"{self._folder}/{key}", attempt, before)
                storage.remove(f"{self._folder}/{_MAKING}/{name}")

    @staticmethod
    def _remove_attempt(entry: str, attempt: str, before: int) -> None:
        """Removes an attempt that has not become the entry, and what was left of writing its mark."""
        mark = _read(f"{entry}/{_MARK}") or b""
        if attempt.encode() not in mark:
            storage.remove_tree(f"{entry}/{attempt}")
        for name, stat in storage.stats_below(entry).items():
            if name.endswith(storage.UNFINISHED) and "/" not in name and stat.modified <= before:
                storage.remove(f"{entry}/{name}")
        storage.remove_empty(entry)

    def _now(self) -> int:
        """The time of the cache's disk or store, in nanoseconds since 1970."""
        probe = f"{self._folder}/{_MAKING}/{uuid.uuid4().hex}"
        storage.touch(probe)
        try:
            return storage.stat(probe).modified
        finally:
            storage.remove(probe)

    def drop_damaged(self) -> Iterator[str]:
        """Verifies all entries, drops the damaged ones and yields their folders."""
        for key in storage.names(self._folder):
            if storage.exists(f"{self._folder}/{key}/{_MARK}") and self.find(key, thoroughly=True) is None:
                yield f"{self._folder}/{key}"

    @staticmethod
    def _drop(entry: str, mark: bytes, folder: str | None, damage: str) -> None:
        """Removes a damaged entry, which another process may already be making again."""
        _LOGGER.warning("%s; what was kept here is dropped and made again", damage)
        # The mark goes first, so that other processes find no entry rather than half of one.
        if _read(f"{entry}/{_MARK}") == mark:
            storage.remove(f"{entry}/{_MARK}")
        if folder:
            storage.remove_tree(folder)


def _read(path: str) -> bytes | None:
    """Content of a file; None if it doesn't exist."""
    try:
        return storage.read_bytes(path)
    except FileNotFoundError:
        return None


def _sync(folder: str) -> None:
    """Flushes a local folder to disk."""
    if not is_remote(folder):
        for path in storage.files_below(folder):
            storage.sync(f"{folder}/{path}")
        for inner in (Path(folder), *Path(folder).rglob("*/")):
            storage.sync(str(inner))
