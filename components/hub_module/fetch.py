"""Fetches the module behind a handle into a local folder."""

from collections.abc import Iterator
from contextlib import contextmanager

import fsspec
import tensorflow as tf
import tensorflow_hub
from tfx.dsl.io import fileio

from hubline.components.hub_module import web
from hubline.components.hub_module.archive import ARCHIVES, unpack
from hubline.components.hub_module.handle import WEB, cannot_be_had, digest, mirrored
from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.digest import check_digest
from hubline.core.errors import UserError

_UNREACHABLE = (OSError, ValueError, ImportError, tf.errors.OpError, fileio.NotFoundError)
"""Raised by TensorFlow's and fsspec's file systems if a path doesn't exist or a package for it is missing."""


def fetch(handle: str, sha256: str | None, folder: str) -> tuple[str, str]:
    """Fetches a module.

    Args:
        handle: A local folder or archive, an object store URL, or a hub's address.
        sha256: Expected digest, if any.
        folder: Local folder for downloaded files.

    Returns:
        Path of the SavedModel's folder (the handle itself if it is a local folder), and the digest.

    Raises:
        UserError: if the handle cannot be fetched, or its digest is not `sha256`.
    """
    place = mirrored(handle)
    got = _download(handle, place, folder) if is_remote(place) else place
    with _named(handle if is_remote(place) else got, got):
        found = digest(got)
        check_digest(handle, found, sha256)
        return (got if storage.is_folder(got) else unpack(got, f"{folder}/unpacked")), found


@contextmanager
def _named(handle: str, path: str) -> Iterator[None]:
    """Replaces a temporary path in error messages by the handle."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(path, handle)) from error


def remote_facts(url: str) -> list[str]:
    """Paths, sizes and modification times of a module's files in an object store.

    Raises:
        UserError: if there are no files, or the store cannot be reached.
    """
    try:
        if _tensorflow_reads(url):
            paths = [f"{url}/{path}" for path in storage.files_below(url)] if storage.is_folder(url) else [url]
            facts = [f"{path} {storage.stat(path)}" for path in paths]
        else:
            filesystem, path = fsspec.core.url_to_fs(url)
            facts = sorted(f"{name} {filesystem.ukey(name)}" for name in filesystem.find(path))
    except _UNREACHABLE as error:
        raise cannot_be_had(url, error) from error
    if not facts:
        raise UserError(f"{url}: there is no hub module here")
    return facts


def _download(handle: str, place: str, folder: str) -> str:
    target = f"{folder}/{place.rstrip('/').rpartition('/')[2]}"
    try:
        if place.startswith(WEB) and web.names_a_version(place):
            return tensorflow_hub.resolve(place)
        if place.startswith(WEB):  # TensorFlow Hub would cache the first download for ever
            archive = f"{folder}/downloaded.tar.gz"
            web.download(place, archive)
            with _named(handle, archive):
                return unpack(archive, f"{folder}/downloaded")
        if _tensorflow_reads(place):
            _copy(place, target)
        else:
            filesystem, path = fsspec.core.url_to_fs(place)
            filesystem.get(path, target, recursive=not place.endswith(ARCHIVES))
    except UserError:
        raise
    except Exception as error:  # besides _UNREACHABLE, anything that the hub resolver's HTTP and Kaggle clients raise
        raise cannot_be_had(handle, error) from error
    return target


def _tensorflow_reads(url: str) -> bool:
    """Whether TensorFlow itself reads URLs of this scheme (such as gs://); fsspec reads the others."""
    return url.partition("://")[0] in tf.io.gfile.get_registered_schemes()


def _copy(source: str, target: str) -> None:
    if not storage.is_folder(source):
        tf.io.gfile.copy(source, target)
        return
    for path in storage.files_below(source):
        tf.io.gfile.makedirs(f"{target}/{path}".rpartition("/")[0])
        tf.io.gfile.copy(f"{source}/{path}", f"{target}/{path}")
