"""From a handle to a local folder with the module in it."""

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
"""What TensorFlow's and fsspec's file systems raise where something is not there, or a package for it is missing."""


def fetch(handle: str, sha256: str | None, folder: str) -> tuple[str, str]:
    """Brings a module into a folder.

    Args:
        handle: A local folder or archive, an object store's, or a hub's address.
        sha256: What its digest must be, if anything.
        folder: A local folder to put what is fetched into.

    Returns:
        The path of the SavedModel's folder (which is the handle itself where that is a local folder), and the digest.

    Raises:
        UserError: where the handle cannot be had, or is not what `sha256` says.
    """
    place = mirrored(handle)
    got = _download(handle, place, folder) if is_remote(place) else place
    with _named(handle if is_remote(place) else got, got):
        found = digest(got)
        check_digest(handle, found, sha256)
        return (got if storage.is_folder(got) else unpack(got, f"{folder}/unpacked")), found


@contextmanager
def _named(handle: str, path: str) -> Iterator[None]:
    """Has a mistake name the handle in place of where its content lies for the moment."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace(path, handle)) from error


def remote_facts(url: str) -> list[str]:
    """The paths, sizes and times of a module's files in an object store.

    Raises:
        UserError: where there are none, or the store cannot be reached.
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
        if place.startswith(WEB):  # TensorFlow Hub would keep what it had from there once for ever
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
    except Exception as error:  # besides _UNREACHABLE, whatever the hub resolver's HTTP and Kaggle clients raise
        raise cannot_be_had(handle, error) from error
    return target


def _tensorflow_reads(url: str) -> bool:
    """Whether TensorFlow itself reads such URLs (gs:// and more); fsspec is asked for the others."""
    return url.partition("://")[0] in tf.io.gfile.get_registered_schemes()


def _copy(source: str, target: str) -> None:
    if not storage.is_folder(source):
        tf.io.gfile.copy(source, target)
        return
    for path in storage.files_below(source):
        tf.io.gfile.makedirs(f"{target}/{path}".rpartition("/")[0])
        tf.io.gfile.copy(f"{source}/{path}", f"{target}/{path}")
