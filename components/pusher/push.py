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
    try:
        if is_remote(destination):
            return _push_remote(model, destination)
        return _push_local(model, Path(destination))
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", error)
        raise UserError(f"{destination}: the {what} cannot be written: {reason}") from error


def _push_local(model: str, destination: Path) -> str:
    destination.mkdir(parents=True, exist_ok=True)
    with _exclusively(destination):
        for left_over in destination.glob(f"{_INCOMING}*"):
            shutil.rmtree(left_over)  # of a push that was killed
        incoming = destination / f"{_INCOMING}{uuid.uuid4().hex}"
        try:
            io_utils.copy_dir(model, str(incoming))
            version = next_version(str(destination))
            incoming.rename(version)
        except BaseException:
            shutil.rmtree(incoming, ignore_errors=True)
            raise
    return version


@contextmanager
def _exclusively(folder: Path) -> Iterator[None]:
    """Waits for other pipelines that push into the same folder; the lock leaves no file behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _push_remote(model: str, destination: str) -> str:
    version = next_version(destination)
    for path in sorted(storage.files_below(model), key="saved_model.pb".__eq__):
        io_utils.copy_file(f"{model}/{path}", f"{version}/{path}")
    return version
