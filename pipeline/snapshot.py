"""Pins the inputs of a run."""

from hubline.artifacts.pins import AnyPins
from hubline.components.pin.snapshot import pin as pin_to_train
from hubline.components.pin.snapshot import pin_to_infer
from hubline.core import storage
from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile, InferFile
from hubline.pipeline.file_paths import key_of


def pin(file: AnyFile) -> AnyPins:
    """Records the current state of everything that a pipeline file refers to.

    Raises:
        UserError: if something is missing or invalid.
    """
    try:
        if isinstance(file, InferFile):
            return pin_to_infer(file.data, file.hubs, file.model, file.predictions)
        destination, warm_start = file.serving.destination, file.training.warm_start
        return pin_to_train(file.data, file.features, file.hubs, destination, file.backbones, warm_start)
    except storage.AccessError as error:
        key = key_of(file, error.url)
        raise UserError(f"{key}: {error}" if key else str(error)) from error
