"""Files on this machine and in object stores.

Local files go by the standard library, so that looking at them needs no imports that take seconds; URLs go by TFX's
`fileio`, which is TensorFlow's.
"""

import errno
import fcntl
import glob as local_glob
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hubline.core.config_base import is_remote
from hubline.core.errors import UserError

UNFINISHED = ".unfinished"
"""How the name of a file ends while it is being written; it begins with a dot."""
_NO_HARD_LINK = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What the system says where a file can't have a second name: another file system, one without hard links, a file of
another user, or too many names already."""
_FICLONE = 0x40049409  # <linux/fs.h>


@dataclass(frozen=True)
class Stat:
    """A file's size in bytes, and when its content changed last, in nanoseconds since 1970."""

    size: int
    modified: int


def _fileio(url: str) -> Any:
    # Imported here, for object stores only: it brings TensorFlow.
    import tensorflow as tf
    from tfx.dsl.io import fileio

    scheme = url.partition("://")[0]
    if scheme not in tf.io.gfile.get_registered_schemes():
        raise UserError(
            f"{url}: TensorFlow here does not read {scheme}://; mount it, or copy what is there to gs:// or a folder"
        )
    return fileio


def exists(path: str) -> bool:
    """Whether there is a file or folder."""
    return _fileio(path).exists(path) if is_remote(path) else Path(path).exists()


def is_folder(path: str) -> bool:
    """Whether there is a folder."""
    return _fileio(path).isdir(path) if is_remote(path) else Path(path).is_dir()


def names(folder: str) -> list[str]:
    """The names of the files and folders in a folder, sorted; none where there is no such folder."""
    if not is_folder(folder):
        return []
    listed = _fileio(folder).listdir(folder) if is_remote(folder) else os.listdir(folder)  # noqa: PTH208
    return sorted(name.rstrip("/") for name in listed)


def glob(pattern: str) -> list[str]:
    """The paths that match a pattern, sorted."""
    return sorted(_fileio(pattern).glob(pattern) if is_remote(pattern) else local_glob.glob(pattern, recursive=True))  # noqa: PTH207


def stat(path: str) -> Stat:
    """A file's size and time."""
    if is_remote(path):
        found = _fileio(path).stat(path)
        return Stat(found.length, found.mtime_nsec)
    local = Path(path).stat()
    return Stat(local.st_size, local.st_mtime_ns)


def open_binary(path: str) -> IO[bytes]:
    """Opens a file to read its bytes."""
    return _fileio(path).open(path, "rb") if is_remote(path) else Path(path).open("rb")


@contextmanager
def atomically(path: str) -> Iterator[str]:
    """Yields a path beside `path` to write a file to, which takes its place when the block ends without an exception.

    Whoever opens `path` meanwhile sees the earlier file or none; nobody ever sees half of one, even after a power cut.
    A file that had the name before is replaced and not written to: other names of it keep what it holds. The folder is
    made where it isn't there.
    """
    with _aside(path) as unfinished:
        yield unfinished
        if is_remote(path):
            _fileio(path).rename(unfinished, path, overwrite=True)
        else:
            sync(unfinished)
            Path(unfinished).replace(path)


@contextmanager
def _aside(path: str) -> Iterator[str]:
    """A path beside another one that nobody else writes to; whatever is left there in the end is removed."""
    folder, slash, _ = path.rpartition("/")
    unfinished = f"{folder}{slash}.{uuid.uuid4().hex}{UNFINISHED}"
    if not is_remote(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        yield unfinished
    finally:
        remove(unfinished)


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file `atomically`; an object store shows an object when all of it is there."""
    if is_remote(path):
        with _fileio(path).open(path, "wb") as file:
            file.write(content)
        return
    with atomically(path) as unfinished:
        Path(unfinished).write_bytes(content)


def write_new(path: str, content: bytes) -> bool:
    """Like `write_bytes`, unless there is such a file already; whether it was written.

    Of several who do so at the same moment one writes; in an object store, and where there are no hard links, several
    may, and what one of them wrote stays.
    """
    if is_remote(path):
        if exists(path):
            return False
        write_bytes(path, content)
        return True
    with _aside(path) as unfinished:
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


def write_text(path: str, text: str) -> None:
    """Writes a text as UTF-8, like `write_bytes`."""
    write_bytes(path, text.encode())


def sync(path: str) -> None:
    """Has the system write a local file, or the names in a folder, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def remove(path: str) -> None:
    """Removes a file, where it is there."""
    if is_remote(path):
        if exists(path):
            _fileio(path).remove(path)
    else:
        Path(path).unlink(missing_ok=True)


def remove_tree(folder: str) -> None:
    """Removes a folder with all that is in it, where it is there."""
    if is_remote(folder):
        remove_files_below(folder)  # in an object store, where there are no folders, that is all
    else:
        shutil.rmtree(folder, ignore_errors=True)


def remove_files_below(folder: str) -> None:
    """Removes all files in a folder and its folders."""
    for path in files_below(folder):
        _fileio(folder).remove(f"{folder}/{path}") if is_remote(folder) else Path(folder, path).unlink()


def link(source: str, target: str) -> None:
    """Gives a file of ours, which nobody writes to any more, a second name; where there can't be one, copies it."""
    if is_remote(source) or is_remote(target):
        copy(source, target)
        return
    with atomically(target) as unfinished:
        try:
            os.link(source, unfinished)
        except OSError as error:
            if error.errno not in _NO_HARD_LINK:
                raise
            _copy(source, unfinished)


def copy(source: str, target: str) -> None:
    """Copies a file; on a file system that can do so, both share their blocks until one is changed."""
    if is_remote(source) or is_remote(target):
        _fileio(target if is_remote(target) else source).copy(source, target, overwrite=True)
        return
    with atomically(target) as unfinished:
        _copy(source, unfinished)


def _copy(source: str, target: str) -> None:
    with Path(source).open("rb") as old, Path(target).open("xb") as new:
        try:
            fcntl.ioctl(new, _FICLONE, old.fileno())
        except OSError:
            shutil.copyfile(source, target)


def files_below(folder: str) -> list[str]:
    """The files in a folder and its folders, as sorted paths relative to it."""
    return sorted(_walk(folder))


def _walk(folder: str) -> Iterator[str]:
    for parent, _, found in _fileio(folder).walk(folder) if is_remote(folder) else os.walk(folder):
        for name in found:
            yield f"{parent}/{name}"[len(folder.rstrip("/")) :].lstrip("/")
