"""Removes old versions of a serving folder, and models that wait for approval and will not be approved."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.errors import UserError
from hubline.serving.history import History, record
from hubline.serving.lease import leased
from hubline.serving.model_card import model_digest
from hubline.serving.push import writing
from hubline.serving.unfinished import unfinished
from hubline.serving.versions import path_of, version_numbers
from hubline.serving.waiting import drop, drop_abandoned, to_drop


@dataclass(frozen=True)
class Pruned:
    """What `prune` removes."""

    versions: tuple[int, ...]
    waiting: tuple[str, ...]
    """Digests of models that wait for approval."""


def to_prune(destination: str, keep: int) -> Pruned:
    """What `prune` removes.

    Of the versions, all but the newest `keep`, and those that are pinned. The one that serves is the newest. Versions
    that were rolled back don't count among the newest. Of the models that wait for approval, all but the newest `keep`,
    and those that were compared with a version that doesn't serve any more, because they can't be approved.
    """
    return Pruned(tuple(old_versions(destination, History.read(destination), keep)), tuple(to_drop(destination, keep)))


def old_versions(destination: str, history: History, keep: int) -> list[int]:
    """The versions that `prune` removes."""
    found = version_numbers(destination)
    usable = [number for number in found if not _was_rolled_back(history, number)]
    spared = {*usable[-keep:], *found[-1:], *history.pinned}
    return [number for number in found if number not in spared]


def prune(destination: str, keep: int) -> Pruned:
    """Removes old versions and waiting models, as `to_prune` lists them.

    A version disappears at once on a disk. In an object store, `saved_model.pb` goes first, so that no server loads
    what is left of it.

    Args:
        destination: The serving folder.
        keep: Number of the newest versions to keep, at least 1.

    Raises:
        UserError: if the folder can't be written.
    """
    with writing(destination, "serving folder"):
        with leased(destination) if is_remote(destination) else nullcontext():
            history = History.read(destination)
            versions = [
                number for number in old_versions(destination, history, keep) if _remove(destination, history, number)
            ]
            waiting = to_drop(destination, keep)
            for digest in waiting:
                drop(destination, digest)
            drop_abandoned(destination)
            return Pruned(tuple(versions), tuple(waiting))


def _remove(destination: str, history: History, number: int) -> bool:
    """Removes a version; returns False if another process has just removed it."""
    made = history.made(number)
    try:
        path = path_of(destination, number)
        digest = made.digest if made else model_digest(path)
        if is_remote(destination):
            storage.remove(f"{path}/saved_model.pb")
            storage.remove_files_below(path)
        else:
            with unfinished(Path(destination)) as hidden:
                Path(path).rename(hidden)
    except (FileNotFoundError, UserError):
        if number in version_numbers(destination):
            raise
        return False
    record(destination, "removed", number, digest)
    return True


def _was_rolled_back(history: History, number: int) -> bool:
    made = history.made(number)
    return made is not None and history.withdrawal(made.digest) is not None
