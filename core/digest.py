"""Digests of files and folders."""

import hashlib
import json
from collections.abc import Collection, Iterable

from hubline.core import storage
from hubline.core.errors import UserError

_CHUNK = 1 << 20


def file_digest(path: str) -> str:
    """SHA-256 of a file's content, as `sha256sum` prints it."""
    digest = hashlib.sha256()
    with storage.open_binary(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def tree_digest(folder: str, without: Collection[str] = ()) -> str:
    """SHA-256 of a folder's files and their paths, independent of order, times and owners.

    Files whose path in the folder is in `without` don't count.

    The same digest on a command line: `find . -type f | sed 's,^./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum`.
    """
    paths = (path for path in storage.files_below(folder) if path not in without)
    lines = (f"{file_digest(f'{folder}/{path}')}  {path}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_digest(path: str, found: str, sha256: str | None) -> None:
    """Checks the digest of a module or file against the pipeline file.

    Raises:
        UserError: if the digests differ.
    """
    if sha256 is not None and found != sha256:
        raise UserError(f"{path}: its sha256 is {found}, but the pipeline file sets {sha256}")


def words_digest(words: Iterable[str]) -> str:
    """SHA-256 of words in their order."""
    return hashlib.sha256(json.dumps(list(words)).encode()).hexdigest()
