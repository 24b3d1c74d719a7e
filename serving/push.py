"""Writes a version into a serving folder so that a polling server never loads a partial one."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from hubline.core import interruption, storage
from hubline.core.config_base import is_remote
from hubline.core.digest import file_digest
from hubline.core.errors import RunError, UserError
from hubline.serving.lease import leased
from hubline.serving.unfinished import clear_abandoned, publish, unfinished
from hubline.serving.versions import next_version

_LAST = "saved_model.pb"
"""No server loads a version without this file, so it is written last where a folder can't appear all at once."""


_PAUSE_SECONDS = 0.1
"""Wait after losing the race for a version number. NFS may need a moment to list the new version."""


_NOTHING: Mapping[str, bytes] = {}


def _allow() -> None:
    pass


def push(
    model: str,
    destination: str,
    what: str = "serving folder",
    check: Callable[[], None] = _allow,
    beside: Mapping[str, bytes] = _NOTHING,
) -> str:
    """Copies a SavedModel, or predictions, into a folder of versions as the next version.

    On a disk, the version is copied under a hidden name and then renamed, which is atomic, also on NFS. Object stores
    have no atomic rename; there, pushes wait for each other, `saved_model.pb` is copied last, and no existing object is
    ever replaced.

    Args:
        model: The SavedModel's folder.
        destination: The serving folder; created if missing.
        what: What error messages call the destination.
        check: Raises if the push must not happen. Called before the copy and again before the version becomes visible;
            no other push can come between the second call and the version.
        beside: Contents of further files of the version by name.

    Returns:
        Path of the new version.

    Raises:
        UserError: if the serving folder cannot be written.
        Interrupted: if the process was asked to stop; nothing is pushed.
    """
    with writing(destination, what):
        interruption.check()
        check()
        if is_remote(destination):
            return _push_to_store(model, destination, check, beside)
        return _push_to_disk(model, Path(destination), check, beside)


def copy_once(model: str, version: str) -> None:
    """Copies a SavedModel to a path reserved for this model, unless it is there already; completes a partial copy.

    Several processes may copy at once: on a disk, the first rename wins, and all copies are identical.

    Raises:
        UserError: if the path cannot be written.
        Interrupted: if the process was asked to stop.
    """
    with writing(version, "model"):
        if not is_remote(version) and not Path(version).exists():
            parent = Path(version).parent
            parent.mkdir(parents=True, exist_ok=True)
            clear_abandoned(parent)
            with unfinished(parent) as copy:
                storage.copy_tree(model, str(copy))
                interruption.check()
                if publish(copy, Path(version)):
                    return
        _complete(model, version)


@contextmanager
def writing(path: str, what: str) -> Iterator[None]:
    """Turns file system and object store errors into a UserError.

    Args:
        path: What is written.
        what: What error messages call it.

    Raises:
        UserError: if the path cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: the {what} is not writable: {error.strerror or error}") from error


def _push_to_disk(model: str, destination: Path, check: Callable[[], None], beside: Mapping[str, bytes]) -> str:
    destination.mkdir(parents=True, exist_ok=True)
    clear_abandoned(destination)
    with unfinished(destination) as copy:
        storage.copy_tree(model, str(copy))
        for name, content in beside.items():
            storage.write_bytes(str(copy / name), content)
        while True:
            # The number is fixed before the check, so a push that follows the check competes for the same number and
            # fails.
            version = next_version(str(destination))
            check()
            interruption.check()
            if publish(copy, Path(version)):
                return version
            time.sleep(_PAUSE_SECONDS)


def _push_to_store(model: str, destination: str, check: Callable[[], None], beside: Mapping[str, bytes]) -> str:
    with leased(destination) as lease:
        version = next_version(destination)
        lease.announce(version)
        written: list[str] = []

        def write(path: str, new: Callable[[str], bool]) -> None:
            interruption.check()
            written.append(path)  # before the copy, which may be there even if the store's answer was lost
            if not new(f"{version}/{path}"):
                written.remove(path)
                raise RunError(f"{version}/{path}: another push has written this; nothing was pushed; run again")

        def copy(path: str) -> None:
            write(path, partial(storage.copy_new, f"{model}/{path}"))

        try:
            *files, last = _files(model)
            for path in files:
                if path not in beside:
                    copy(path)
            for name, content in beside.items():
                write(name, partial(storage.write_new, content=content))
            check()
            lease.renew()
            copy(last)
        except BaseException:
            if lease.is_ours:  # otherwise another push may have removed these files, and written its own
                for path in reversed(written):  # saved_model.pb first, so that no server finds half a version
                    storage.remove(f"{version}/{path}")
            raise
        return version


def _complete(model: str, version: str) -> None:
    """Copies missing and differing files, each atomically, and `saved_model.pb` last."""
    for path in _files(model):
        source, target = f"{model}/{path}", f"{version}/{path}"
        if not storage.exists(target) or file_digest(target) != file_digest(source):
            interruption.check()
            storage.copy(source, target)


def _files(model: str) -> list[str]:
    return sorted(storage.files_below(model), key=lambda path: (path == _LAST, path))
