"""The list of a run's data files, kept under the digest of its content.

Steps get the digest: a hundred thousand files are 15 MB of text, too much for ML Metadata and for a parameter.
"""

import hashlib
from collections.abc import Callable, Collection
from datetime import timedelta

from hubline.artifacts.pins import PinnedFiles
from hubline.core import storage
from hubline.core.errors import RunError
from hubline.core.garbage import collecting_later
from hubline.core.shard_cache import ABANDONED_AFTER

_SUFFIX = ".json"


def digest_of(files: PinnedFiles) -> str:
    """SHA-256 of a list; equal lists have equal digests, wherever they are kept."""
    return hashlib.sha256(_content(files)).hexdigest()


def keep(files: PinnedFiles, folder: str) -> str:
    """Writes a list into a folder; returns its digest.

    A list that is there is written again, so that its time says when a run last referred to it.
    """
    content = _content(files)
    digest = hashlib.sha256(content).hexdigest()
    storage.write_bytes(_path(folder, digest), content)
    return digest


def sweep(
    folder: str,
    newest: str,
    used: Callable[[], Collection[str]] = tuple,
    idle_for: timedelta = ABANDONED_AFTER,
) -> None:
    """Removes the lists that no run has referred to for a while.

    Args:
        folder: Folder of the lists. Other runs may use it, too.
        newest: Digest of the list that was kept last, whose time is that of the disk or store.
        used: Returns the digests of further lists to keep; called only if there is anything to remove.
        idle_for: How long a list stays without a run that refers to it.
    """
    found = {path.removesuffix(_SUFFIX): stat for path, stat in storage.stats_below(folder).items()}
    before = found[newest].modified - idle_for // timedelta(microseconds=1) * 1000
    idle = {digest for digest, stat in found.items() if stat.modified < before} - {newest}
    for digest in idle.difference(used()) if idle else ():
        storage.remove(_path(folder, digest))


def read(digest: str, folder: str) -> PinnedFiles:
    """Reads a list.

    Raises:
        RunError: if it isn't there, or isn't what was written.
    """
    path = _path(folder, digest)
    try:
        content = storage.read_bytes(path)
    except FileNotFoundError as error:
        raise RunError(f"{path}: the list of the data files is missing; run again from the start") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise RunError(f"{path}: the list of the data files is damaged; remove this file and run again from the start")
    with collecting_later():
        return PinnedFiles.model_validate_json(content)


def _content(files: PinnedFiles) -> bytes:
    return files.to_property().encode()


def _path(folder: str, digest: str) -> str:
    return f"{folder}/{digest}{_SUFFIX}"
