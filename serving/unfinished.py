"""Folders on a disk that appear under their final name only once they are complete."""

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubline.core import storage
from hubline.serving.owner import Owner

_PREFIX = ".incoming-"
_ABANDONED_SECONDS = 24 * 3600
"""Age after which a folder is abandoned if it is unknown whether its owner is alive."""
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


@contextmanager
def unfinished(parent: Path) -> Iterator[Path]:
    """Yields a hidden path in a folder, to be filled and published; removes it afterwards unless published.

    The name contains the writing process, so that other processes can tell whether the writer is alive.
    """
    folder = parent / f"{_PREFIX}{uuid.uuid4().hex}-{Owner.me()}"
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, version: Path) -> bool:
    """Renames a folder to its final name; False if the name is taken.

    Renaming a folder onto a non-empty one fails on every file system, including NFS, so only one of several processes
    succeeds.
    """
    _sync(folder)
    try:
        folder.rename(version)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    storage.sync(str(version.parent))
    return True


def clear_abandoned(parent: Path) -> None:
    """Removes what killed processes left behind, and nothing that a live process may be filling."""
    for folder in parent.glob(f"{_PREFIX}*"):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    owner = Owner.parse(folder.name.removeprefix(_PREFIX).partition("-")[2])
    if owner and owner.is_dead:
        return True
    try:
        newest = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:  # published or removed meanwhile
        return False
    return time.time() - newest > _ABANDONED_SECONDS


def _sync(folder: Path) -> None:
    for parent, _, files in os.walk(folder, topdown=False):
        for path in (*(Path(parent, name) for name in files), parent):
            storage.sync(str(path))
