"""Files on this machine and in object stores: every listing, opening, copy, existence check and removal.

A path is local, or a URL such as `s3://bucket/key`. Local files are handled by the standard library, URLs by fsspec.
"""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol

from hubline.core.config_base import is_remote
from hubline.core.storage import local, stores
from hubline.core.storage.credentials import AccessError as AccessError
from hubline.core.storage.credentials import is_transient as is_transient
from hubline.core.storage.local import UNFINISHED as UNFINISHED
from hubline.core.storage.local import Listing as Listing
from hubline.core.storage.local import Stat as Stat
from hubline.core.storage.local import sync as sync


class _Files(Protocol):
    def exists(self, path: str) -> bool: ...
    def is_folder(self, path: str) -> bool: ...
    def names(self, folder: str) -> list[str]: ...
    def listing(self, folder: str) -> Listing: ...
    def glob(self, pattern: str) -> list[str]: ...
    def matching(self, pattern: str) -> Listing: ...
    def stat(self, path: str) -> Stat: ...
    def open_binary(self, path: str) -> IO[bytes]: ...
    def read_bytes(self, path: str) -> bytes: ...
    def touch(self, path: str) -> None: ...
    def atomically(self, path: str) -> AbstractContextManager[str]: ...
    def write_bytes(self, path: str, content: bytes) -> None: ...
    def write_new(self, path: str, content: bytes) -> bool: ...
    def remove(self, path: str) -> None: ...
    def remove_tree(self, folder: str) -> None: ...
    def remove_empty(self, folder: str) -> None: ...
    def files_below(self, folder: str) -> list[str]: ...
    def stats_below(self, folder: str) -> dict[str, Stat]: ...
    def copy(self, source: str, target: str) -> None: ...


def _of(path: str) -> _Files:
    return stores if is_remote(path) else local


def exists(path: str) -> bool:
    """Whether there is a file or folder."""
    return _of(path).exists(path)


def is_folder(path: str) -> bool:
    """Whether there is a folder; in an object store, whether there are objects below the path."""
    return _of(path).is_folder(path)


def names(folder: str) -> list[str]:
    """The names of the files and folders in a folder, sorted; none where there is no such folder."""
    return sorted(_of(folder).names(folder))


def listing(folder: str) -> Listing:
    """The files and folders in a folder, by path, sorted; none where there is no such folder.

    In a store, these facts come from the listing itself: a thousand objects per request. An object with the name of a
    folder may be listed as the folder.
    """
    return dict(sorted(_of(folder).listing(folder).items()))


def glob(pattern: str) -> list[str]:
    """The paths that match a pattern, sorted."""
    return sorted(_of(pattern).glob(pattern))


def matching(pattern: str) -> Listing:
    """The files and folders that match a pattern, by path, sorted; see `listing`."""
    return dict(sorted(_of(pattern).matching(pattern).items()))


def stat(path: str) -> Stat:
    """A file's size, time and version."""
    return _of(path).stat(path)


def open_binary(path: str) -> IO[bytes]:
    """Opens a file to read its bytes."""
    return _of(path).open_binary(path)


def read_bytes(path: str) -> bytes:
    """The content of a small file; in a store, by a single request."""
    return _of(path).read_bytes(path)


def touch(path: str) -> None:
    """Writes an empty file, which a power cut may undo."""
    _of(path).touch(path)


def atomically(path: str) -> AbstractContextManager[str]:
    """Yields a local path to write to. Its file becomes the file at `path` if the block ends without an exception.

    Until then, readers of `path` see the previous file or none. Nobody ever sees part of a file, even after a power
    cut. A previous file is replaced rather than overwritten, so its other hard links keep their content. Missing
    folders are created.
    """
    return _of(path).atomically(path)


def write_bytes(path: str, content: bytes) -> None:
    """Writes a file `atomically`."""
    _of(path).write_bytes(path, content)


def write_new(path: str, content: bytes) -> bool:
    """Writes a file `atomically` unless it exists; returns whether it was written.

    Of several processes that do so at once, only one writes. On file systems without hard links and in object stores
    without conditional writes, several may write, and the file of one of them stays. In object stores, all that write
    the same content at once may be told that they wrote, because an answer can be lost.
    """
    return _of(path).write_new(path, content)


def write_text(path: str, text: str) -> None:
    """Writes a text as UTF-8, `atomically`."""
    write_bytes(path, text.encode())


def remove(path: str) -> None:
    """Removes a file if it exists."""
    _of(path).remove(path)


def remove_tree(folder: str) -> None:
    """Removes a folder and everything in it, if it exists."""
    _of(folder).remove_tree(folder)


def remove_empty(folder: str) -> None:
    """Removes a folder if there is nothing in it; object stores have no such folders."""
    _of(folder).remove_empty(folder)


def remove_files_below(folder: str) -> None:
    """Removes all files below a folder."""
    for path in files_below(folder):
        remove(f"{folder}/{path}")


def make_folder(path: str) -> None:
    """Creates a folder and its parents, for writers that need one; object stores have none."""
    if not is_remote(path):
        Path(path).mkdir(parents=True, exist_ok=True)


def files_below(folder: str) -> list[str]:
    """Relative paths of all files below a folder, sorted."""
    return sorted(_of(folder).files_below(folder))


def stats_below(folder: str) -> dict[str, Stat]:
    """Size, time and version of all files below a folder, by relative path; in a store, from their listing."""
    return _of(folder).stats_below(folder)


def link(source: str, target: str) -> None:
    """Hard-links one of our finished files, or copies it if that is impossible."""
    if is_remote(source) or is_remote(target):
        copy(source, target)
    else:
        local.link(source, target)


def copy(source: str, target: str) -> None:
    """Copies a file, `atomically`. On file systems that support it, the copy shares its blocks with the source."""
    if is_remote(source) == is_remote(target):
        _of(source).copy(source, target)
    elif is_remote(target):
        stores.upload(source, target)
    else:
        with local.atomically(target) as unfinished:
            stores.download(source, unfinished)


def copy_new(source: str, url: str) -> bool:
    """Copies a file to an object store unless the object exists; returns whether it was copied, as `write_new`."""
    if not is_remote(source):
        return stores.upload_new(source, url)
    with tempfile.TemporaryDirectory() as folder:
        stores.download(source, f"{folder}/file")
        return stores.upload_new(f"{folder}/file", url)


def copy_tree(source: str, target: str) -> None:
    """Copies all files below a folder, each `atomically`."""
    for path in files_below(source):
        copy(f"{source}/{path}", f"{target}/{path}")


def is_read_in_place(path: str) -> bool:
    """Whether TensorFlow can read a path itself, so that `on_disk` makes no copy."""
    return not is_remote(path) or stores.is_read_by_tensorflow(path)


@contextmanager
def on_disk(path: str) -> Iterator[str]:
    """Yields a path of a file or folder that TensorFlow can read.

    The path itself, except in stores that TensorFlow doesn't read: those files are downloaded to `TMPDIR`, and removed
    when the block ends.

    Raises:
        FileNotFoundError: if there is nothing to download.
    """
    if is_read_in_place(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        target = f"{folder}/{path.rstrip('/').rpartition('/')[2]}"
        (copy_tree if is_folder(path) else copy)(path, target)
        yield target


@contextmanager
def filling(folder: str) -> Iterator[str]:
    """Yields a local folder to fill: `folder` itself, or one that is uploaded if the block ends without error."""
    if not is_remote(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as filled:
        yield filled
        copy_tree(filled, folder)
