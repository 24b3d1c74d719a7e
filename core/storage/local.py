"""Files on this machine, through the standard library, whose imports are cheap."""

import errno
import fcntl
import glob as local_glob
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import IO

UNFINISHED = ".unfinished"
"""Suffix of a file that is being written; its name starts with a dot."""
_NO_HARD_LINK = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""Errors of a hard link that is impossible: across file systems, on one without hard links, to a file of another user,
or to one with too many links."""
_FICLONE = 0x40049409  # <linux/fs.h>


@dataclass(frozen=True)
class Stat:
    """Size in bytes, time of the last modification in nanoseconds since 1970, and version of a file."""

    size: int
    modified: int
    version: str | None = None
    """ETag or generation of an object, because S3's times are whole seconds; None on disks."""


Listing = dict[str, Stat | None]
"""Files by path; None for a folder."""


def exists(path: str) -> bool:
    return Path(path).exists()


def is_folder(path: str) -> bool:
    return Path(path).is_dir()


def names(folder: str) -> list[str]:
    return os.listdir(folder) if is_folder(folder) else []  # noqa: PTH208


def listing(folder: str) -> Listing:
    return _looked_at(f"{folder.rstrip('/')}/{name}" for name in names(folder))


def glob(pattern: str) -> list[str]:
    return local_glob.glob(pattern, recursive=True)  # noqa: PTH207


def matching(pattern: str) -> Listing:
    return _looked_at(glob(pattern))


def _looked_at(paths: Iterable[str]) -> Listing:
    """The files and folders at some paths; a broken link counts as a file. What has just been removed is left out."""
    found: Listing = {}
    for path in paths:
        with suppress(FileNotFoundError):
            try:
                seen = Path(path).stat()
            except FileNotFoundError:
                seen = Path(path).lstat()
            found[path] = None if S_ISDIR(seen.st_mode) else Stat(seen.st_size, seen.st_mtime_ns)
    return found


def stat(path: str) -> Stat:
    found = Path(path).stat()
    return Stat(found.st_size, found.st_mtime_ns)


def open_binary(path: str) -> IO[bytes]:
    return Path(path).open("rb")


def read_bytes(path: str) -> bytes:
    return Path(path).read_bytes()


def touch(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).touch()


@contextmanager
def atomically(path: str) -> Iterator[str]:
    with aside(path) as unfinished:
        yield unfinished
        sync(unfinished)
        Path(unfinished).replace(path)


@contextmanager
def aside(path: str) -> Iterator[str]:
    """Yields a new hidden path next to another one, and removes what is left there."""
    folder, slash, _ = path.rpartition("/")
    unfinished = f"{folder}{slash}.{uuid.uuid4().hex}{UNFINISHED}"
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        yield unfinished
    finally:
        remove(unfinished)


def write_bytes(path: str, content: bytes) -> None:
    with atomically(path) as unfinished:
        Path(unfinished).write_bytes(content)


def write_new(path: str, content: bytes) -> bool:
    with aside(path) as unfinished:
        Path(unfinished).write_bytes(content)
        sync(unfinished)
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINK:
                raise
            if exists(path):
                return False
            Path(unfinished).replace(path)
    return True


def sync(path: str) -> None:
    """Flushes a local file, or the entries of a folder, to disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def remove_tree(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def remove_empty(folder: str) -> None:
    with suppress(OSError):
        Path(folder).rmdir()


def link(source: str, target: str) -> None:
    """Hard-links a file, or copies it if that is impossible."""
    with atomically(target) as unfinished:
        try:
            os.link(source, unfinished)
        except OSError as error:
            if error.errno not in _NO_HARD_LINK:
                raise
            _copy(source, unfinished)


def copy(source: str, target: str) -> None:
    with atomically(target) as unfinished:
        _copy(source, unfinished)


def _copy(source: str, target: str) -> None:
    with Path(source).open("rb") as old, Path(target).open("xb") as new:
        try:
            fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:
            shutil.copyfile(source, target)


def files_below(folder: str) -> list[str]:
    found = (f"{parent}/{name}" for parent, _, names in os.walk(folder) for name in names)
    return [path[len(folder.rstrip("/")) :].lstrip("/") for path in found]


def stats_below(folder: str) -> dict[str, Stat]:
    found: dict[str, Stat] = {}
    for path in files_below(folder):
        with suppress(FileNotFoundError):  # another process has just removed it
            found[path] = stat(f"{folder}/{path}")
    return found
