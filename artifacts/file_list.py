"""The list of a run's data files, kept under the digest of its content.

Steps get the digest: a hundred thousand files are 15 MB of text, too much for ML Metadata and for a parameter.
"""

import hashlib

from hubline.artifacts.pins import PinnedFiles
from hubline.core import storage
from hubline.core.errors import RunError
from hubline.core.garbage import collecting_later


def digest_of(files: PinnedFiles) -> str:
    """SHA-256 of a list; equal lists have equal digests, wherever they are kept."""
    return hashlib.sha256(_content(files)).hexdigest()


def keep(files: PinnedFiles, folder: str) -> str:
    """Writes a list into a folder, unless it is there; returns its digest."""
    content = _content(files)
    digest = hashlib.sha256(content).hexdigest()
    path = _path(folder, digest)
    if not storage.exists(path) or storage.stat(path).size != len(content):
        storage.write_bytes(path, content)
    return digest


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
    return f"{folder}/{digest}.json"
