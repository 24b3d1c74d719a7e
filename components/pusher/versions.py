"""The versions in a serving folder, as TensorFlow Serving sees them: folders named by integers, the greatest serves."""

from hubline.core import storage
from hubline.core.errors import UserError

_GREATEST = 2**63 - 1
"""TensorFlow Serving reads versions as int64."""


def version_number(name: str) -> int | None:
    """The version that a folder's name stands for; None for a name that TensorFlow Serving passes over.

    Leading zeros count for nothing: `007` is version 7. Digits of other scripts are no digits to TensorFlow Serving.
    """
    return number if name.isascii() and name.isdecimal() and (number := int(name)) <= _GREATEST else None


def versions(destination: str) -> list[str]:
    """The names of the versions in a serving folder, ascending; one without its `saved_model.pb` is none."""
    return [name for name in _numbered(destination) if _is_whole(f"{_folder(destination)}/{name}")]


def newest_version(destination: str) -> str | None:
    """The path of the version that serves, if any."""
    paths = (f"{_folder(destination)}/{name}" for name in reversed(_numbered(destination)))
    return next(filter(_is_whole, paths), None)


def version_in(folder: str) -> str:
    """The folder itself where it is a version, or the version that serves in it.

    Raises:
        UserError: where it is neither.
    """
    path = folder if _is_whole(folder) else newest_version(folder)
    if path is None:
        raise UserError(f"{folder}: neither a SavedModel nor a serving folder with a version in it")
    return path


def newest_numbered(destination: str) -> str | None:
    """The path of the newest folder that is named by an integer, whatever is in it."""
    found = _numbered(destination)
    return f"{_folder(destination)}/{found[-1]}" if found else None


def next_version(destination: str) -> str:
    """The path that the next version goes to; an unfinished version has used up its number.

    Raises:
        UserError: where the numbers have come to their end.
    """
    found = _numbered(destination)
    number = int(found[-1]) + 1 if found else 1
    if number > _GREATEST:
        raise UserError(
            f"{_folder(destination)}/{found[-1]}: no version can follow, as TensorFlow Serving's versions are int64; "
            "remove this one, or give it a smaller number"
        )
    return f"{_folder(destination)}/{number}"


def _is_whole(version: str) -> bool:
    return storage.exists(f"{version}/saved_model.pb")


def _numbered(destination: str) -> list[str]:
    numbers = ((version_number(name), name) for name in storage.names(_folder(destination)))
    return [name for _, name in sorted((number, name) for number, name in numbers if number is not None)]


def _folder(destination: str) -> str:
    return destination.rstrip("/") or "/"
