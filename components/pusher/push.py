"""Writes a version into a serving folder so that a polling server never sees half of one."""

import os
import shutil
import uuid
from pathlib import Path

from tfx.dsl.io import fileio
from tfx.utils import io_utils

from preprocessing.errors import UserError
from preprocessing.section import is_remote

_INCOMING = ".incoming-"


def push(model: str, destination: str) -> str:
    """Copies a SavedModel into a serving folder as its next version.

    On a local disk the version is copied under a hidden name and then renamed, which is atomic. Object stores have no
    such rename: there `saved_model.pb`, without which no server loads a version, is copied last.

    Args:
        model: The SavedModel's folder.
        destination: The serving folder; made where it is not there.

    Returns:
        The new version's path.

    Raises:
        UserError: where the serving folder cannot be written.
    """
    try:
        if is_remote(destination):
            return _push_remote(model, destination)
        return _push_local(model, Path(destination))
    except OSError as error:
        raise UserError(f"{destination}: the serving folder cannot be written: {error.strerror or error}") from error


def _push_local(model: str, destination: Path) -> str:
    destination.mkdir(parents=True, exist_ok=True)
    for left_over in destination.glob(f"{_INCOMING}*"):
        shutil.rmtree(left_over)  # of a push that was killed
    incoming = destination / f"{_INCOMING}{uuid.uuid4().hex}"
    try:
        io_utils.copy_dir(model, str(incoming))
        version = destination / str(_next(str(destination)))
        os.rename(incoming, version)  # noqa: PTH104 - fails, as it should, where another run has made the version
    except BaseException:
        shutil.rmtree(incoming, ignore_errors=True)
        raise
    return str(version)


def _push_remote(model: str, destination: str) -> str:
    version = f"{destination}/{_next(destination)}"
    for name in fileio.listdir(model):
        source, target = f"{model}/{name}", f"{version}/{name}"
        if fileio.isdir(source):
            io_utils.copy_dir(source, target)
        elif name != "saved_model.pb":
            io_utils.copy_file(source, target)
    io_utils.copy_file(f"{model}/saved_model.pb", f"{version}/saved_model.pb")
    return version


def _next(destination: str) -> int:
    # Half a version that a killed push left in an object store has a number too, and must not be written into.
    names = [name.rstrip("/") for name in fileio.listdir(destination)] if fileio.exists(destination) else []
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1
