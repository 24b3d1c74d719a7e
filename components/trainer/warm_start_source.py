"""The source of a warm start: found and pinned before the run, without TensorFlow."""

import json
from collections.abc import Iterator

from hubline.artifacts.pins import ServedVersion
from hubline.core import storage
from hubline.core.errors import UserError
from hubline.serving.versions import newest_version
from hubline.trainer.checkpoint_files import checkpoint_digest, checkpoint_in
from hubline.trainer.config.warm_start import SERVING, WarmStart


def pin_warm_start(warm_start: WarmStart | None, destination: str) -> ServedVersion | None:
    """The checkpoint that a training starts from, and its digest; None if there is no warm start, or no version
    serves yet.

    Args:
        warm_start: `training.warm_start`.
        destination: The serving folder.

    Raises:
        UserError: if there is no checkpoint at the path.
    """
    if warm_start is None:
        return None
    if warm_start.source == SERVING:
        serving = newest_version(destination)
        prefix = checkpoint_in(serving) if serving else None
    else:
        prefix = find_checkpoint(warm_start.source)
    return ServedVersion(path=prefix, digest=checkpoint_digest(prefix)) if prefix else None


def find_checkpoint(path: str) -> str:
    """The prefix of the checkpoint that a path stands for.

    Args:
        path: A checkpoint, or a folder: of checkpoints, a SavedModel, versions of a model, a run, or the Trainer's
            `model` or `model_run`.

    Raises:
        UserError: if there is none.
    """
    path = path.rstrip("/")
    for place in _places(path):
        if prefix := checkpoint_in(place):
            return prefix
    raise UserError(
        f"{path}: there is no checkpoint; name a checkpoint without its suffix .index, a folder of checkpoints, a "
        "SavedModel, a serving folder or the folder of a run"
    )


def _places(path: str) -> Iterator[str]:
    yield path
    yield f"{path}/Format-Serving"  # where TFX stores the SavedModel of a Model artifact
    yield f"{path}/checkpoints"
    if newest := newest_version(path):
        yield newest
    if model := _model_of_run(path):
        yield f"{model}/Format-Serving"


def _model_of_run(folder: str) -> str | None:
    """The folder of the model that a run trained."""
    if not storage.exists(path := f"{folder}/report/report.json"):
        return None
    with storage.open_binary(path) as file:
        return json.load(file).get("artifacts", {}).get("model")
