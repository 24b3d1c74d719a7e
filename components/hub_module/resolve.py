"""From a handle to a folder with the module in it."""

import hashlib
import os
import shutil
import tarfile
from pathlib import Path

import fsspec
import tensorflow as tf
import tensorflow_hub
from tfx.dsl.io import fileio

from components.digest import file_digest, tree_digest, tree_files
from preprocessing.errors import UserError
from preprocessing.section import is_remote

MIRROR = "HUBLINE_HUB_MIRROR"
"""Names a folder or URL that holds modules in place of the hubs: `https://tfhub.dev/google/x/1` is looked for there as
`google/x/1` or `google/x/1.tar.gz`."""

_ARCHIVES = (".tar.gz", ".tgz", ".tar")

_UNREACHABLE = (OSError, ValueError, ImportError, tf.errors.OpError)
"""What TensorFlow's and fsspec's file systems raise where something is not there, or a package for it is missing."""


def fingerprint(handle: str) -> str:
    """What tells whether the module behind a handle has changed, without fetching it.

    For a local module its digest; for object stores the sizes and times of the files; a hub's handles name a version
    that never changes.

    Raises:
        UserError: where a local path or an object store has no such module.
    """
    handle = mirrored(handle)
    if handle.startswith(("http://", "https://")):
        return handle
    if is_remote(handle):
        return _remote_fingerprint(handle)
    return digest(handle)


def digest(path: str) -> str:
    """The SHA-256 that `sha256:` in the pipeline file is compared to: of an archive's bytes, or of a folder's tree."""
    if fileio.isdir(path):
        return tree_digest(path)
    if not fileio.exists(path):
        raise UserError(f"{path}: there is no hub module here; a handle is a folder, a .tar.gz, gs://, s3:// or a hub's address")
    return file_digest(path)


def mirrored(handle: str) -> str:
    """The handle, or where a mirror is configured and the handle is a hub's, the place in the mirror."""
    mirror = os.environ.get(MIRROR)
    if not mirror or not handle.startswith(("http://", "https://")):
        return handle
    place = f"{mirror.rstrip('/')}/{handle.partition('://')[2].partition('/')[2]}"
    if not is_remote(place) and fileio.isdir(place):
        return place
    return f"{place}.tar.gz"


def fetch(handle: str, sha256: str | None, folder: str) -> tuple[str, str]:
    """Brings a module into a folder.

    Args:
        handle: A local folder or archive, an object store's, or a hub's address.
        sha256: What its digest must be, if anything.
        folder: A new local folder to put what is fetched into.

    Returns:
        The path of the SavedModel's folder (which is the handle itself where that is a local folder), and the digest.

    Raises:
        UserError: where the handle cannot be had, or is not what `sha256` says.
    """
    place = mirrored(handle)
    got = place if not is_remote(place) else _download(handle, place, folder)
    found = digest(got)
    if sha256 is not None and found != sha256:
        raise UserError(f"{handle}: its sha256 is {found}, but the pipeline file says {sha256}")
    if fileio.isdir(got):
        return got, found
    return _unpack(got, f"{folder}/unpacked"), found


def _download(handle: str, place: str, folder: str) -> str:
    if place.startswith(("http://", "https://")):
        return _from_hub(handle)
    Path(folder).mkdir(parents=True, exist_ok=True)
    target = f"{folder}/{place.rstrip('/').rpartition('/')[2]}"
    try:
        if _tensorflow_reads(place):
            _copy(place, target)
        else:
            filesystem, path = fsspec.core.url_to_fs(place)
            filesystem.get(path, target, recursive=not place.endswith(_ARCHIVES))
    except _UNREACHABLE as error:
        raise UserError(f"{handle}: the hub module cannot be had: {error}") from error
    return target


def _remote_fingerprint(handle: str) -> str:
    try:
        if _tensorflow_reads(handle):
            paths = [f"{handle}/{path}" for path in tree_files(handle)] if fileio.isdir(handle) else [handle]
            facts = [f"{path} {stat.length} {stat.mtime_nsec}" for path in paths for stat in [fileio.stat(path)]]
        else:
            filesystem, path = fsspec.core.url_to_fs(handle)
            facts = sorted(f"{name} {filesystem.ukey(name)}" for name in filesystem.find(path))
    except _UNREACHABLE as error:
        raise UserError(f"{handle}: the hub module cannot be had: {error}") from error
    if not facts:
        raise UserError(f"{handle}: there is no hub module here")
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _tensorflow_reads(url: str) -> bool:
    """Whether TensorFlow itself reads such URLs (gs:// and more); fsspec is asked for the others."""
    return url.partition("://")[0] in tf.io.gfile.get_registered_schemes()


def _copy(source: str, target: str) -> None:
    if not fileio.isdir(source):
        fileio.copy(source, target)
        return
    for path in tree_files(source):
        fileio.makedirs(f"{target}/{path}".rpartition("/")[0])
        fileio.copy(f"{source}/{path}", f"{target}/{path}")


def _from_hub(handle: str) -> str:
    try:
        return tensorflow_hub.resolve(handle)
    except Exception as error:  # whatever the resolver's HTTP, archive and Kaggle libraries raise
        raise UserError(
            f"{handle}: the hub module cannot be had: {error}. Is the address right and the network there? A copy can "
            f"be given as a folder or .tar.gz, or {MIRROR} can name a mirror"
        ) from error


def _unpack(archive: str, folder: str) -> str:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(f"{archive}: not a whole .tar.gz of a SavedModel: {error}") from error
    # An archive may hold the SavedModel itself, or one folder with it.
    homes = [path for path in tree_files(folder) if path.rpartition("/")[2] == "saved_model.pb"]
    if not homes:
        raise UserError(f"{archive}: there is no saved_model.pb in this archive")
    return str(Path(folder, min(homes, key=len)).parent)
