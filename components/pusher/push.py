"""Writes a version into a serving folder so that a polling server never sees half of one."""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf
from tfx.utils import io_utils

from components import storage
from components.pusher.versions import next_version
from preprocessing.errors import UserError
from preprocessing.section import is_remote

_INCOMING = ".incoming-"


def push(model: str, destination: str, what: str = "serving folder") -> str:
    """Copies a SavedModel into a serving folder as its next version, or predictions into theirs.

    On a local disk the version is copied under a hidden name and then renamed, which is atomic. Object stores have no
    such rename: there `saved_model.pb`, without which no server loads a version, is copied last.

    Args:
        model: The SavedModel's folder.
        destination: The serving folder; made where it is not there.
        what: What messages call it.

    Returns:
        The new version's path.

    Raises:
        UserError: where the serving folder cannot be written.
    """
    with writing(destination, what):
        if is_remote(destination):
            version = next_version(destination)
            _copy_remote(model, version)
            return version
        folder = Path(destination)
        folder.mkdir(parents=True, exist_ok=True)
        with _exclusively(folder):
            version = next_version(destination)
            _copy_local(model, Path(version))
        return version


def copy_once(model: str, version: str) -> None:
    """Copies a SavedModel to a path of its own, unless it is there already; one that was cut short is made whole.

    Raises:
        UserError: where it cannot be written.
    """
    with writing(version, "model"):
        if not storage.exists(f"{version}/saved_model.pb"):
            _copy_remote(model, version) if is_remote(version) else _copy_local(model, Path(version))


@contextmanager
def writing(path: str, what: str) -> Iterator[None]:
    """Makes an error of a file system or object store one of the user's.

    Args:
        path: What is written.
        what: What messages call it.

    Raises:
        UserError: where it cannot be written.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", error)
        raise UserError(f"{path}: the {what} cannot be written: {reason}") from error


def _copy_local(model: str, version: Path) -> None:
    for left_over in version.parent.glob(f"{_INCOMING}*"):
        shutil.rmtree(left_over)  # of a copy that was killed
    incoming = version.with_name(f"{_INCOMING}{uuid.uuid4().hex}")
    try:
        io_utils.copy_dir(model, str(incoming))
        incoming.rename(version)
    except BaseException:
        shutil.rmtree(incoming, ignore_errors=True)
        raise


@contextmanager
def _exclusively(folder: Path) -> Iterator[None]:
    """Waits for other pipelines that push into the same folder; the lock leaves no file behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _copy_remote(model: str, version: str) -> None:
    for path in sorted(storage.files_below(model), key="saved_model.pb".__eq__):
        io_utils.copy_file(f"{model}/{path}", f"{version}/{path}", overwrite=True)
