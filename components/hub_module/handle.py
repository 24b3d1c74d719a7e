"""Handles of hub modules, and the places that they refer to."""

import os
from pathlib import Path

from hubline.components.hub_module import archive, recognise
from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.digest import file_digest, tree_digest
from hubline.core.errors import UserError

MIRROR = "HUBLINE_HUB_MIRROR"
"""Environment variable with a folder or URL that mirrors the hubs: `https://tfhub.dev/google/x/1` is looked up there as
`google/x/1` or `google/x/1.tar.gz`."""

WEB = ("http://", "https://")


def mirrored(handle: str) -> str:
    """The mirror's copy of a hub's address if a mirror is configured; otherwise the handle."""
    mirror = os.environ.get(MIRROR)
    if not mirror or not handle.startswith(WEB):
        return handle
    place = f"{mirror.rstrip('/')}/{handle.partition('://')[2].partition('/')[2]}"
    return place if not is_remote(place) and storage.is_folder(place) else f"{place}.tar.gz"


def digest(path: str) -> str:
    """SHA-256 that a pipeline file's `sha256:` is compared with: of an archive's bytes, or of a folder's tree.

    Raises:
        UserError: if there is no module at the path.
    """
    look_for(path)
    return tree_digest(path) if storage.is_folder(path) else file_digest(path)


def look_for(path: str) -> None:
    """Checks that a local path looks like a module.

    Raises:
        UserError: if it doesn't; the message says what is there instead.
    """
    if not storage.exists(path):
        raise UserError(
            f"{path}: there is no hub module here; a handle is a folder, a .tar.gz archive, gs://, s3://, or an "
            "address on tfhub.dev or Kaggle"
        )
    recognise.refuse(path)


def read_saved_model(path: str) -> bytes:
    """The `saved_model.pb` of a module in a local folder or archive.

    Raises:
        UserError: if there is none, or several in an archive are candidates.
    """
    return Path(path, "saved_model.pb").read_bytes() if storage.is_folder(path) else archive.read_saved_model(path)


def fetch_error(handle: str, error: Exception) -> UserError:
    """The error for a handle that cannot be reached."""
    return UserError(
        f"{handle}: the hub module cannot be had: {error}. Is the address right, and can it be reached from here? A "
        f"copy can be given as a folder or .tar.gz, or {MIRROR} can name a mirror"
    )
