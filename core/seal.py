"""Records of a folder's files, to detect later whether any was changed, truncated or lost."""

import errno
from collections.abc import Mapping

from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.digest import file_digest


class SealedFile(Section):
    """A file as it was written."""

    size: int
    """Size in bytes."""
    modified: int
    """Time of the last modification, in nanoseconds since 1970."""
    sha256: str
    version: str | None = None
    """ETag or generation in an object store; None on a disk."""


class Seal(Section):
    """The files below a folder, by relative path."""

    files: dict[str, SealedFile]

    @classmethod
    def of(cls, folder: str, digests: Mapping[str, str] | None = None) -> "Seal":
        """Seals every file below a folder.

        Args:
            folder: Folder of the files.
            digests: SHA-256 of each file by relative path; computed from the files if None.

        Raises:
            FileNotFoundError: if a file that has a digest isn't there.
        """
        if digests is None:
            digests = {path: file_digest(f"{folder}/{path}") for path in storage.files_below(folder)}
        stats = storage.stats_below(folder)
        return cls(files={path: _sealed(stats.get(path), f"{folder}/{path}", digests[path]) for path in digests})

    def damage(self, folder: str, thoroughly: bool = False) -> str | None:
        """What is wrong with the first file that has changed; None if none has.

        Args:
            folder: Where the files are now.
            thoroughly: Whether to read every file. Otherwise files with an unchanged size and time are trusted.
        """
        stats = storage.stats_below(folder)
        for path, sealed in self.files.items():
            file, now = f"{folder}/{path}", stats.get(path)
            if now is None:
                return f"{file}: the file is missing"
            if now.size != sealed.size:
                return f"{file}: it has {now.size:,} bytes, and {sealed.size:,} were written"
            # A version tells more than a time, of which stores give more or fewer digits.
            is_unchanged = now.version == sealed.version if sealed.version else now.modified == sealed.modified
            if (thoroughly or not is_unchanged) and file_digest(file) != sealed.sha256:
                return f"{file}: it isn't what was written (another SHA-256)"
        return None


def _sealed(stat: storage.Stat | None, file: str, sha256: str) -> SealedFile:
    if stat is None:
        raise FileNotFoundError(errno.ENOENT, "another process has removed it", file)
    return SealedFile(size=stat.size, modified=stat.modified, sha256=sha256, version=stat.version)
