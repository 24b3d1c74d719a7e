"""Fetches the module behind a handle into a local folder."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow_hub

from hubline.components.hub_module import web
from hubline.components.hub_module.archive import unpack
from hubline.components.hub_module.handle import WEB, digest, fetch_error, mirrored
from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.digest import check_digest
from hubline.core.errors import UserError


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
    """Paths, sizes, modification times and versions of a module's files in an object store.

    Raises:
        UserError: if there are no files, or the store cannot be reached.
    """
    try:
        paths = [f"{url}/{path}" for path in storage.files_below(url)] or [url]
        return [f"{path} {storage.stat(path)}" for path in paths]
    except FileNotFoundError:
        raise UserError(f"{url}: there is no hub module here") from None
    except OSError as error:
        raise fetch_error(url, error) from error


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
        (storage.copy_tree if storage.is_folder(place) else storage.copy)(place, target)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{handle}: there is no hub module here") from error
    except Exception as error:  # the hub resolver's HTTP and Kaggle clients raise anything
        raise fetch_error(handle, error) from error
    return target
