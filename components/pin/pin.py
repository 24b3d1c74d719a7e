"""Which files with which fingerprints, which modules, and which version serves now."""

from components import storage
from components.config import SPLITS, Data, PatternSplit
from components.digest import file_digest, tree_digest
from components.hub_module.handle import fingerprint
from components.pin.pins import ALL, Files, PinnedFile, Pins, ServedVersion
from components.pusher.versions import newest_version
from preprocessing.errors import UserError
from trainer.config import Hubs


def pin(data: Data, hubs: Hubs, destination: str) -> Pins:
    """Looks at the data, the hub modules and the serving folder as they are now.

    Raises:
        UserError: where no file matches, or a module is not there.
    """
    return Pins(
        files=pin_files(data),
        data_schema=file_digest(data.data_schema) if data.data_schema else None,
        modules={name: fingerprint(hub.handle) for name, hub in hubs.items()},
        serving=pin_serving(destination),
    )


def patterns(data: Data) -> dict[str, str]:
    """The glob of each split, or the one of all files under `ALL`."""
    if not isinstance(data.split, PatternSplit):
        return {ALL: data.examples}
    shares = {split: getattr(data.split, split) for split in SPLITS}
    return {split: glob if _is_absolute(glob) else f"{data.examples}/{glob}" for split, glob in shares.items()}


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or "://" in path


def pin_files(data: Data) -> Files:
    """The files that match, sorted by path.

    Raises:
        UserError: where a pattern matches none, or a file is in two splits.
    """
    by_split = {split: tuple(map(_pin_file, matches(pattern))) for split, pattern in patterns(data).items()}
    owner: dict[str, str] = {}
    for split, files in by_split.items():
        for file in files:
            if owner.setdefault(file.path, split) != split:
                raise UserError(
                    f"{file.path}: matches data.split.{owner[file.path]} and data.split.{split}; a file is in one split"
                )
    return Files(by_split=by_split)


def matches(pattern: str) -> list[str]:
    """The data files in a folder, or that match a glob, sorted, but for those whose names begin with `.` or `_`.

    Raises:
        UserError: where there is none.
    """
    folder = storage.is_folder(pattern)
    every = [f"{pattern}/{name}" for name in storage.names(pattern)] if folder else storage.glob(pattern)
    hidden = (".", "_")
    found = [path for path in every if not path.rpartition("/")[2].startswith(hidden) and not storage.is_folder(path)]
    if not found:
        raise UserError(f"{pattern}: no files matched; data.examples is a folder or a glob of TFRecord files")
    return found


def _pin_file(path: str) -> PinnedFile:
    stat = storage.stat(path)
    return PinnedFile(path=path, size=stat.size, modified=stat.modified)


def pin_serving(destination: str) -> ServedVersion | None:
    """The newest version in a serving folder."""
    path = newest_version(destination)
    return ServedVersion(path=path, digest=tree_digest(path)) if path else None
