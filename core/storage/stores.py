"""Files in object stores, through fsspec. A URL is `scheme://bucket/key`; stores have objects and no folders.

Credentials come from where each store's own tools take them. Listings are not cached, so an object that another process
has just written is visible.
"""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import IO, Any, cast

from hubline.core.errors import UserError
from hubline.core.storage.credentials import (
    AccessError,
    is_refused,
    is_transient,
    is_unreachable,
    options,
    what_to_set,
)
from hubline.core.storage.local import Listing, Stat

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Names of the same fact in the different stores' file systems.
_TIMES = ("LastModified", "mtime", "last_modified")
_VERSIONS = ("ETag", "generation", "etag")
_BLOCK = 4 << 20
"""Bytes per request when an object is read piece by piece. The file systems' own 50 MB is much for a file's head."""
_TRIES = 5
"""Attempts at a conditional write. S3 answers 409 if another one is in progress."""


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the path in it. Exceptions of the store's client are turned into OSErrors.

    Raises:
        AccessError: if the scheme is unknown, the store cannot be reached, or credentials are missing or rejected.
    """
    scheme = url.partition("://")[0]
    try:
        yield _file_system(url)
    except (UserError, FileNotFoundError, FileExistsError):
        raise
    except Exception as error:  # each store's client has its own exceptions
        if is_refused(error):
            raise AccessError(url, f"no access to the store: {error}; {what_to_set(scheme)}") from error
        if is_unreachable(error):
            raise AccessError(url, f"the store cannot be reached: {error}; run again once it can be") from error
        if is_transient(error):
            raise AccessError(url, f"the store is too busy, or fails: {error}; run again later") from error
        if isinstance(error, OSError):
            error.filename = error.filename or url
            raise
        raise OSError(errno.EIO, f"{type(error).__name__}: {error}", url) from error


def _file_system(url: str) -> tuple[Any, str]:
    # Imported here because few pipelines use a store.
    import fsspec

    scheme, _, key = url.partition("://")
    if scheme in ("http", "https"):
        raise AccessError(url, "neither a folder nor a bucket; download the file, or copy it to a bucket")
    protocol, settings = options(url)
    try:
        files, path = fsspec.core.url_to_fs(f"{protocol}://{key}", **settings)
    except (ImportError, ValueError) as error:
        if is_refused(error):
            raise
        raise AccessError(url, f"{scheme}:// is not supported here: {error}") from error
    return files, path


def _relative(name: str, path: str) -> str:
    """Path of an object relative to the path of a folder; file systems differ in leading and trailing slashes."""
    return name.strip("/")[len(path.strip("/")) :].strip("/")


def _info(url: str) -> dict[str, Any] | None:
    with _opened(url) as (files, path), suppress(FileNotFoundError):
        return cast(dict[str, Any], files.info(path))
    return None


def exists(path: str) -> bool:
    return _info(path) is not None


def is_folder(path: str) -> bool:
    info = _info(path)
    return info is not None and info["type"] == "directory"


def names(folder: str) -> list[str]:
    if not is_folder(folder):
        return []
    with _opened(folder) as (files, path):
        found = (_relative(name, path) for name in files.ls(path, detail=False))
        return [name for name in found if name]  # some tools write an empty object named like the folder


def listing(folder: str) -> Listing:
    if not is_folder(folder):
        return {}
    with _opened(folder) as (files, path):
        found = {_relative(info["name"], path): info for info in files.ls(path, detail=True)}
        return {f"{folder.rstrip('/')}/{name}": _entry(files, info) for name, info in found.items() if name}


def glob(pattern: str) -> list[str]:
    return list(matching(pattern))


def matching(pattern: str) -> Listing:
    from fsspec.core import has_magic

    if not has_magic(pattern):  # on such a path, fsspec's glob hides that the store denies access
        info = _info(pattern)
        with _opened(pattern) as (files, _):
            return {} if info is None else {pattern: _entry(files, info)}
    scheme, _, rest = pattern.partition("://")
    bucket = f"{scheme}://{rest.partition('/')[0]}"
    with _opened(pattern) as (files, path):
        found = files.glob(path, detail=True)
        return {f"{bucket}/{name.strip('/').partition('/')[2]}": _entry(files, info) for name, info in found.items()}


def stat(path: str) -> Stat:
    with _opened(path) as (files, key):
        return _stat(files, files.info(key) | {"name": key})


def _entry(files: Any, info: Mapping[str, Any]) -> Stat | None:
    return None if info["type"] == "directory" else _stat(files, info)


def _stat(files: Any, info: Mapping[str, Any]) -> Stat:
    """The facts about an object, which are the same wherever they come from.

    Some servers list an object with the fraction of a second in which it was written, and leave the fraction out when
    they are asked for that object. A version makes it dispensable.
    """
    time = next((info[name] for name in _TIMES if name in info), None) or files.modified(info["name"])
    version = next((str(info[name]) for name in _VERSIONS if info.get(name)), None)
    unit = timedelta(seconds=1) if version else timedelta(microseconds=1)
    return Stat(info["size"], (time - _EPOCH) // unit * (unit // timedelta(microseconds=1)) * 1000, version)


def open_binary(path: str) -> IO[bytes]:
    with _opened(path) as (files, key):
        return cast(IO[bytes], files.open(key, "rb", block_size=_BLOCK))


def read_bytes(path: str) -> bytes:
    with _opened(path) as (files, key):
        # S3's file system would ask for the size first, to read large objects in parts.
        return cast(bytes, files.cat_file(key, max_concurrency=1))


def touch(path: str) -> None:
    write_bytes(path, b"")


@contextmanager
def atomically(path: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        local = f"{folder}/{path.rpartition('/')[2]}"
        yield local
        upload(local, path)


def write_bytes(path: str, content: bytes) -> None:
    with _opened(path) as (files, key):
        files.pipe_file(key, content)


def write_new(path: str, content: bytes) -> bool:
    def write(files: Any, key: str, **mode: str) -> None:
        files.pipe_file(key, content, **mode)

    return _write_new(path, write, lambda: read_bytes(path) == content)


def upload_new(source: str, target: str) -> bool:
    """Uploads a local file unless the object exists; returns whether it was uploaded."""

    def write(files: Any, key: str, **mode: str) -> None:
        files.put_file(source, key, **mode)

    def is_there() -> bool:
        with open_binary(target) as there, open(source, "rb") as ours:  # noqa: PTH123
            blocks = iter(lambda: (there.read(_BLOCK), ours.read(_BLOCK)), (b"", b""))
            return all(one == other for one, other in blocks)

    return _write_new(target, write, is_there)


def _write_new(url: str, write: Callable[..., None], is_written: Callable[[], bool]) -> bool:
    """Writes an object unless it exists; returns whether it was written.

    If the answer is lost, the client sends the request again, which then finds the object that the first one has
    written. So an object that appears during the write and has the very content counts as written.
    """
    if exists(url):
        return False
    for _ in range(_TRIES):
        try:
            with _opened(url) as (files, key):
                write(files, key, mode="create")
        except FileExistsError:
            return is_written()
        except OSError as error:
            if error.errno == errno.ENOSYS or "NotImplemented" in str(error):  # no conditional writes in this store
                with _opened(url) as (files, key):
                    write(files, key)
                return True
            if error.errno != errno.EBUSY:
                raise
        else:
            return True
    raise OSError(errno.EBUSY, "other processes keep writing this object", url)


def remove(path: str) -> None:
    with _opened(path) as (files, key), suppress(FileNotFoundError):
        files.rm_file(key)


def remove_tree(folder: str) -> None:
    for path in files_below(folder):
        remove(f"{folder}/{path}")
    if is_folder(folder):  # in a store with folders, or with objects that stand for folders
        with _opened(folder) as (files, key), suppress(FileNotFoundError):
            files.rm(key, recursive=True)


def remove_empty(folder: str) -> None:
    pass


def files_below(folder: str) -> list[str]:
    if not is_folder(folder):
        return []
    with _opened(folder) as (files, path):
        return [_relative(name, path) for name in files.find(path) if not name.endswith("/")]


def stats_below(folder: str) -> dict[str, Stat]:
    with _opened(folder) as (files, path):
        below = f"{path.strip('/')}/"
        found = files.find(path, detail=True)
        return {
            _relative(name, path): _stat(files, info)
            for name, info in found.items()
            if name.strip("/").startswith(below) and not name.endswith("/")
        }


def download(source: str, target: str) -> None:
    """Downloads an object to a local path."""
    with _opened(source) as (files, key):
        files.get_file(key, target)


def upload(source: str, target: str) -> None:
    """Uploads a local file. Readers see the previous object until the new one is complete."""
    with _opened(target) as (files, key):
        files.put_file(source, key)


def copy(source: str, target: str) -> None:
    """Copies an object: inside the store if both URLs have the same scheme, otherwise through this machine."""
    if source.partition("://")[0] == target.partition("://")[0]:
        with _opened(source) as (files, key), _opened(target) as (_, target_key):
            files.cp_file(key, target_key)
        return
    with tempfile.TemporaryDirectory() as folder:
        download(source, f"{folder}/file")
        upload(f"{folder}/file", target)


def is_read_by_tensorflow(url: str) -> bool:
    """Whether TensorFlow reads a URL itself: only Google Cloud Storage, and not its emulators."""
    return url.startswith("gs://") and "STORAGE_EMULATOR_HOST" not in os.environ
