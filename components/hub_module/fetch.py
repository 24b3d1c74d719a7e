"""From a handle to a local folder with the module in it."""

import shutil
import tarfile
import zlib
from pathlib import Path

import fsspec
import tensorflow as tf
import tensorflow_hub
from tfx.dsl.io import fileio

from components import storage
from components.digest import check_digest
from components.hub_module.handle import ARCHIVES, MIRROR, WEB, digest, mirrored, not_whole
from preprocessing.errors import UserError
from preprocessing.section import is_remote

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
    found = digest(got)
    check_digest(handle, found, sha256)
    return (got if storage.is_folder(got) else _unpack(got, f"{folder}/unpacked")), found


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
        raise _cannot_be_had(url, error) from error
    if not facts:
        raise UserError(f"{url}: there is no hub module here")
    return facts


def _download(handle: str, place: str, folder: str) -> str:
    target = f"{folder}/{place.rstrip('/').rpartition('/')[2]}"
    try:
        if place.startswith(WEB):
            return tensorflow_hub.resolve(place)
        if _tensorflow_reads(place):
            _copy(place, target)
        else:
            filesystem, path = fsspec.core.url_to_fs(place)
            filesystem.get(path, target, recursive=not place.endswith(ARCHIVES))
    except Exception as error:  # besides _UNREACHABLE, whatever the hub resolver's HTTP and Kaggle clients raise
        raise _cannot_be_had(handle, error) from error
    return target


def _cannot_be_had(handle: str, error: Exception) -> UserError:
    return UserError(
        f"{handle}: the hub module cannot be had: {error}. Is the address right, and can it be reached from here? A "
        f"copy can be given as a folder or .tar.gz, or {MIRROR} can name a mirror"
    )


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


def _unpack(archive: str, folder: str) -> str:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise not_whole(archive, error) from error
    # An archive may hold the SavedModel itself, or a folder with it.
    homes = sorted(Path(folder).rglob("saved_model.pb"), key=lambda path: len(path.parts))
    if not homes:
        raise UserError(f"{archive}: there is no saved_model.pb in this archive")
    return str(homes[0].parent)
