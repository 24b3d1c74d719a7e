"""Changes which version of a model serves.

Servers load the highest number. So a version comes back as a copy with the next number, and numbers never go backwards.
"""

from dataclasses import dataclass

from hubline.core.errors import RunError, UserError
from hubline.serving.history import History, record
from hubline.serving.model_card import model_digest
from hubline.serving.push import push, writing
from hubline.serving.versions import newest_version, number_of, path_of, version_numbers


@dataclass(frozen=True)
class Change:
    """What a rollback or a promotion did."""

    before: int
    """The version that served."""
    source: int
    """The version that was copied."""
    version: int
    """The version that serves now."""


def rollback(destination: str, reason: str, to: int | None = None) -> Change:
    """Has an older version serve again, and remembers that the one that serves is not to be pushed again.

    Args:
        destination: The serving folder.
        reason: Why.
        to: The version to return to; by default the newest that has other files and wasn't rolled back itself.

    Raises:
        UserError: if there is no such version.
        RunError: if another version was pushed meanwhile.
    """
    serving, history = _serving(destination), History.read(destination)
    digest = model_digest(path_of(destination, serving))
    target = _previous(destination, serving, digest, history) if to is None else to
    if model_digest(path_of(destination, target)) == digest:
        raise UserError(f"{destination}: version {target} is the same model as version {serving}, which serves")
    # First what must not be forgotten: a run must not push the same model again.
    record(destination, "rolled_back", serving, digest, reason)
    try:
        return _promote(destination, target, serving, reason)
    except (UserError, RunError) as error:
        raise type(error)(
            f"{error}\nNo version was copied, but the rollback of version {serving} is recorded: no run pushes its "
            "model again"
        ) from error


def promote(destination: str, version: int, reason: str) -> Change:
    """Has a version serve, whether it was rolled back or is just older.

    Raises:
        UserError: if it doesn't exist, or serves already.
        RunError: if another version was pushed meanwhile.
    """
    serving = _serving(destination)
    if version == serving:
        raise UserError(f"{destination}: version {version} serves already")
    return _promote(destination, version, serving, reason)


def _promote(destination: str, source: int, serving: int, reason: str) -> Change:
    def check() -> None:
        if _serving(destination) != serving:
            raise RunError(f"{destination}: version {_serving(destination)} was pushed meanwhile; look, and try again")

    path = push(path_of(destination, source), destination, check=check)
    version = number_of(path)
    record(destination, "promoted", version, model_digest(path), reason, source)
    return Change(serving, source, version)


def pin(destination: str, version: int, is_pinned: bool, reason: str = "") -> None:
    """Has `prune` spare a version, or not any more.

    Raises:
        UserError: if it doesn't exist.
    """
    path = path_of(destination, version)
    with writing(destination, "serving folder"):
        record(destination, "pinned" if is_pinned else "unpinned", version, model_digest(path), reason)


def _previous(destination: str, serving: int, digest: str, history: History) -> int:
    for number in reversed([number for number in version_numbers(destination) if number < serving]):
        found = model_digest(path_of(destination, number))
        if found != digest and history.withdrawal(found) is None:
            return number
    raise UserError(f"{destination}: there is no other model before version {serving} to return to")


def _serving(destination: str) -> int:
    path = newest_version(destination)
    if path is None:
        raise UserError(f"{destination}: no version serves")
    return number_of(path)
