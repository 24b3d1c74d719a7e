"""Files on this machine and in object stores.

Local files go by the standard library, so that looking at them needs no imports that take seconds; URLs go by TFX's
`fileio`, which is TensorFlow's.
"""

import glob as local_glob
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from preprocessing.errors import UserError
from preprocessing.section import is_remote


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


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file, and makes the folders that it is in; whoever reads it meanwhile sees all of it or nothing."""
    if is_remote(path):
        with _fileio(path).open(path, "wb") as file:
            file.write(content)
        return
    local = Path(path)
    local.parent.mkdir(parents=True, exist_ok=True)
    unfinished = local.with_name(f".{uuid.uuid4().hex}.unfinished")
    unfinished.write_bytes(content)
    unfinished.rename(local)


def remove_files_below(folder: str) -> None:
    """Removes all files in a folder and its folders."""
    for path in files_below(folder):
        _fileio(folder).remove(f"{folder}/{path}") if is_remote(folder) else Path(folder, path).unlink()


def link(source: str, target: str) -> None:
    """Puts a file at a second place: on one file system the same bytes under two names, else a copy."""
    if is_remote(source) or is_remote(target):
        _fileio(target if is_remote(target) else source).copy(source, target)
        return
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def refer(source: str, target: str) -> None:
    """Puts a file that is not ours at a second place: like `link`, but by a symbolic link on another file system."""
    if is_remote(source) or is_remote(target):
        link(source, target)
        return
    file = Path(source).resolve()  # the file itself, where the path is a symbolic link
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, target)
    except OSError:  # another file system, one without hard links, or a file of another user
        Path(target).symlink_to(file)


def files_below(folder: str) -> list[str]:
    """The files in a folder and its folders, as sorted paths relative to it."""
    return sorted(_walk(folder))


def _walk(folder: str) -> Iterator[str]:
    for parent, _, found in _fileio(folder).walk(folder) if is_remote(folder) else os.walk(folder):
        for name in found:
            yield f"{parent}/{name}"[len(folder.rstrip("/")) :].lstrip("/")
