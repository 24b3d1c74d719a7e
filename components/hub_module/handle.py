"""Handles of hub modules: where each points."""

import os
from pathlib import Path

from hubline.components.hub_module import archive, recognise
from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.digest import file_digest, tree_digest
from hubline.core.errors import UserError

MIRROR = "HUBLINE_HUB_MIRROR"
"""Names a folder or URL that holds modules in place of the hubs: `https://tfhub.dev/google/x/1` is looked for there as
`google/x/1` or `google/x/1.tar.gz`."""

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
        UserError: where there is not; says what is there instead.
    """
    if not storage.exists(path):
        raise UserError(
            f"{path}: there is no hub module here; a handle is a folder, a .tar.gz, gs://, s3:// or a hub's address"
        )
    recognise.refuse(path)


def read_saved_model(path: str) -> bytes:
    """The `saved_model.pb` of a module in a local folder or archive.

    Raises:
        UserError: where there is none, or it is not known which of an archive's is meant.
    """
    return Path(path, "saved_model.pb").read_bytes() if storage.is_folder(path) else archive.read_saved_model(path)


def cannot_be_had(handle: str, error: Exception) -> UserError:
    """What is said of a handle behind which nothing can be reached."""
    return UserError(
        f"{handle}: the hub module cannot be had: {error}. Is the address right, and can it be reached from here? A "
        f"copy can be given as a folder or .tar.gz, or {MIRROR} can name a mirror"
    )
