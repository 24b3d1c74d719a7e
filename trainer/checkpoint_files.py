"""The files of checkpoints: broken ones are dropped, so that training goes on from the last whole one."""

import logging
from collections.abc import Iterator

import tensorflow as tf

from preprocessing.errors import tensorflow_reason

_LOGGER = logging.getLogger(__name__)


def drop_broken(folder: str) -> None:
    """Removes the checkpoints in a folder that can't be read, and has the newest that can be the latest.

    A checkpoint is read wholly: TensorFlow compares the checksum of each tensor. Where none is whole, training begins
    at its start.

    Args:
        folder: Of a `tf.train.CheckpointManager`; it may be missing.
    """
    broken = False
    whole: list[str] = []
    for prefix in _checkpoints(folder):
        if reason := _fault(prefix):
            broken = True
            _LOGGER.warning("%s: this checkpoint can't be read and is dropped: %s", prefix, reason)
            name = prefix.rpartition("/")[2]
            for file in tf.io.gfile.listdir(folder):
                if file.startswith(f"{name}."):
                    tf.io.gfile.remove(f"{folder}/{file}")
        else:
            whole.append(prefix)
    if not whole and tf.io.gfile.isdir(folder) and (broken or tf.io.gfile.listdir(folder)):
        _LOGGER.warning("%s: no checkpoint is left; training begins at its start", folder)
        tf.io.gfile.rmtree(folder)
    elif whole and (broken or _latest(folder) != whole[-1]):
        _LOGGER.warning("training goes on from the checkpoint %s", whole[-1])
        tf.compat.v1.train.update_checkpoint_state(folder, whole[-1], whole)


def _checkpoints(folder: str) -> Iterator[str]:
    """The prefixes of the checkpoints in a folder, oldest first."""
    if not tf.io.gfile.isdir(folder):
        return
    names = {name.partition(".")[0] for name in tf.io.gfile.listdir(folder) if name.startswith("ckpt-")}
    numbered = {int(name.removeprefix("ckpt-")): name for name in names if name.removeprefix("ckpt-").isdecimal()}
    for number in sorted(numbered):
        yield f"{folder}/{numbered[number]}"


def _fault(prefix: str) -> str | None:
    """Why a checkpoint can't be read; None where it can."""
    try:
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except Exception as error:  # the reader raises IndexError, ValueError and others besides TensorFlow's
        return tensorflow_reason(error)
    return None


def _latest(folder: str) -> str | None:
    """The checkpoint that would be restored; None where the state file names none or is damaged."""
    try:
        return tf.train.latest_checkpoint(folder)
    except (tf.errors.OpError, ValueError, UnicodeDecodeError):
        return None
