"""The versions in a serving folder, as TensorFlow Serving sees them: folders named by integers, the greatest serves."""

from components import storage
from preprocessing.errors import UserError


def versions(destination: str) -> list[str]:
    """The names of the versions in a serving folder, ascending; one without its `saved_model.pb` is none."""
    numbers = [name for name in storage.names(destination) if name.isdecimal()]
    return sorted((name for name in numbers if storage.exists(f"{destination}/{name}/saved_model.pb")), key=int)


def newest_version(destination: str) -> str | None:
    """The path of the version that serves, if any."""
    found = versions(destination)
    return f"{destination}/{found[-1]}" if found else None


def version_in(folder: str) -> str:
    """The folder itself where it is a version, or the version that serves in it.

    Raises:
        UserError: where it is neither.
    """
    path = folder if storage.exists(f"{folder}/saved_model.pb") else newest_version(folder)
    if path is None:
        raise UserError(f"{folder}: neither a SavedModel nor a serving folder with a version in it")
    return path


def newest_numbered(destination: str) -> str | None:
    """The path of the newest folder that is named by an integer, whatever is in it."""
    numbers = [name for name in storage.names(destination) if name.isdecimal()]
    return f"{destination}/{max(numbers, key=int)}" if numbers else None


def next_version(destination: str) -> str:
    """The path that the next version goes to; half a version that a killed push left has used its number up."""
    numbers = (int(name) for name in storage.names(destination) if name.isdecimal())
    return f"{destination}/{max(numbers, default=0) + 1}"
