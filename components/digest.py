"""Digests of folders and files."""

import hashlib

from tfx.dsl.io import fileio

_CHUNK = 1 << 20


def file_digest(path: str) -> str:
    """The SHA-256 of a file's content, as `sha256sum` prints it."""
    digest = hashlib.sha256()
    with fileio.open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def tree_files(folder: str) -> list[str]:
    """The files below a folder, as sorted paths relative to it."""
    found = []
    for parent, _, names in fileio.walk(folder):
        found += [f"{parent}/{name}"[len(folder) :].lstrip("/") for name in names]
    return sorted(found)


def tree_digest(folder: str) -> str:
    """The SHA-256 of a folder's files and their paths, whatever their order, times and owners.

    It is what this prints in the folder: `find . -type f | sed 's,^./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum`.
    """
    lines = (f"{file_digest(f'{folder}/{path}')}  {path}\n" for path in tree_files(folder))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
