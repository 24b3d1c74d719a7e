"""Versions in a serving folder as TensorFlow Serving sees them: folders named by integers, of which it serves the
largest."""

from hubline.core import storage
from hubline.core.config_base import is_remote, normalized
from hubline.core.errors import UserError

_GREATEST = 2**63 - 1
"""TensorFlow Serving parses versions as int64."""


def version_number(name: str) -> int | None:
    """The version number of a folder name; None for a name that TensorFlow Serving ignores.

    Leading zeros are ignored: `007` is version 7. Digits of other scripts don't count.
    """
    return number if name.isascii() and name.isdecimal() and (number := int(name)) <= _GREATEST else None


def versions(destination: str) -> list[str]:
    """Names of the versions in a serving folder, ascending. A folder without `saved_model.pb` is not a version."""
    return [name for name in _numbered(destination) if _is_whole(f"{_folder(destination)}/{name}")]


def version_numbers(destination: str) -> list[int]:
    """Numbers of the versions in a serving folder, ascending."""
    return [number for name in versions(destination) if (number := version_number(name)) is not None]


def path_of(destination: str, version: int) -> str:
    """Path of a version.

    Raises:
        UserError: if it doesn't exist; lists those that do.
    """
    for name in versions(destination):
        if version_number(name) == version:
            return f"{_folder(destination)}/{name}"
    known = ", ".join(map(str, version_numbers(destination))) or "none"
    raise UserError(f"{_folder(destination)}: there is no version {version}, only {known}")


def number_of(version: str) -> int:
    """The number of a version's path."""
    return int(version.rstrip("/").rpartition("/")[2])


def newest_version(destination: str) -> str | None:
    """Path of the serving version, or None."""
    paths = (f"{_folder(destination)}/{name}" for name in reversed(_numbered(destination)))
    return next(filter(_is_whole, paths), None)


def version_in(folder: str) -> str:
    """The folder itself if it is a version, otherwise the newest version in it.

    Raises:
        UserError: if it is neither a version nor a folder of versions.
    """
    folder = _folder(folder)
    path = folder if _is_whole(folder) else newest_version(folder)
    if path is None:
        raise UserError(f"{folder}: neither a SavedModel nor a serving folder with a version in it")
    return path


def newest_numbered(destination: str) -> str | None:
    """Path of the highest-numbered folder, whatever it contains."""
    found = _numbered(destination)
    return f"{_folder(destination)}/{found[-1]}" if found else None


def next_version(destination: str) -> str:
    """Path for the next version. The number of an unfinished version is not reused.

    Raises:
        UserError: if there is no larger int64.
    """
    found = _numbered(destination)
    number = int(found[-1]) + 1 if found else 1
    if number > _GREATEST:
        raise UserError(
            f"{_folder(destination)}/{found[-1]}: this is the greatest version: TensorFlow Serving's versions are "
            "int64; "
            "remove this version or renumber it"
        )
    return f"{_folder(destination)}/{number}"


def _is_whole(version: str) -> bool:
    return storage.exists(f"{version}/saved_model.pb")


def _numbered(destination: str) -> list[str]:
    numbers = ((version_number(name), name) for name in storage.names(_folder(destination)))
    return [name for _, name in sorted((number, name) for number, name in numbers if number is not None)]


def _folder(destination: str) -> str:
    return normalized(destination) if is_remote(destination) else destination.rstrip("/") or "/"
