"""The versions in a serving folder, as TensorFlow Serving sees them: folders named by integers, the greatest serves."""

from tfx.dsl.io import fileio


def versions(destination: str) -> list[int]:
    """The versions in a serving folder, ascending; a folder without its `saved_model.pb` is not one."""
    if not fileio.exists(destination):
        return []
    names = [name.rstrip("/") for name in fileio.listdir(destination)]
    return sorted(int(name) for name in names if name.isdecimal() and fileio.exists(f"{destination}/{name}/saved_model.pb"))


def newest_version(destination: str) -> str | None:
    """The path of the version that serves, if any."""
    found = versions(destination)
    return f"{destination}/{found[-1]}" if found else None
