"""Handles of hub modules: where each points, and what tells whether what is there has changed."""

import hashlib
import os
import tarfile
import zlib
from pathlib import Path

from components import storage
from components.digest import file_digest, tree_digest
from preprocessing.errors import UserError
from preprocessing.section import is_remote

MIRROR = "HUBLINE_HUB_MIRROR"
"""Names a folder or URL that holds modules in place of the hubs: `https://tfhub.dev/google/x/1` is looked for there as
`google/x/1` or `google/x/1.tar.gz`."""

ARCHIVES = (".tar.gz", ".tgz", ".tar")
WEB = ("http://", "https://")


def mirrored(handle: str) -> str:
    """The handle, or where a mirror is configured and the handle is a hub's, the place in the mirror."""
    mirror = os.environ.get(MIRROR)
    if not mirror or not handle.startswith(WEB):
        return handle
    place = f"{mirror.rstrip('/')}/{handle.partition('://')[2].partition('/')[2]}"
    return place if not is_remote(place) and storage.is_folder(place) else f"{place}.tar.gz"


def digest(path: str) -> str:
    """The SHA-256 that `sha256:` in the pipeline file is compared to: of an archive's bytes, or of a folder's tree.

    Raises:
        UserError: where a local path has no module.
    """
    look_for(path)
    return tree_digest(path) if storage.is_folder(path) else file_digest(path)


def look_for(path: str) -> None:
    """Makes sure that there is something like a module at a local path.

    Raises:
        UserError: where there is not.
    """
    if storage.is_folder(path) and not storage.exists(f"{path}/saved_model.pb"):
        raise UserError(f"{path}: not a hub module: there is no saved_model.pb in this folder")
    if not storage.exists(path):
        raise UserError(
            f"{path}: there is no hub module here; a handle is a folder, a .tar.gz, gs://, s3:// or a hub's address"
        )


def read_saved_model(path: str) -> bytes:
    """The `saved_model.pb` of a module in a local folder or archive.

    Raises:
        UserError: where there is none.
    """
    if storage.is_folder(path):
        return Path(path, "saved_model.pb").read_bytes()
    try:
        with tarfile.open(path, "r|*") as archive:  # read as it comes, and no further than needed
            for member in archive:
                file = archive.extractfile(member) if Path(member.name).name == "saved_model.pb" else None
                if file:
                    return file.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise not_whole(path, error) from error
    raise UserError(f"{path}: there is no saved_model.pb in this archive")


def not_whole(archive: str, error: Exception) -> UserError:
    """What is said of an archive that cannot be read."""
    return UserError(f"{archive}: not a whole .tar.gz of a SavedModel: {error}")


def fingerprint(handle: str) -> str:
    """What tells whether the module behind a handle has changed, without fetching it.

    For a local module its digest; for object stores the sizes and times of the files. A hub's address names a version
    that never changes, so the address itself will do.

    Raises:
        UserError: where there is no such module.
    """
    place = mirrored(handle)
    if place.startswith(WEB):
        return place
    if not is_remote(place):
        return digest(place)
    # Imported here, for object stores only: it brings TensorFlow.
    from components.hub_module.fetch import remote_facts

    return hashlib.sha256("\n".join(remote_facts(place)).encode()).hexdigest()
