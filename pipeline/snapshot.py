"""Pins the inputs of a run."""

from hubline.artifacts.pins import AnyPins, Pins
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
        destination, training = file.serving.destination, file.training
        return pin_to_train(
            file.data, file.features, file.hubs, destination, file.backbones, training.warm_start, training.loss
        )
    except storage.AccessError as error:
        key = key_of(file, error.url)
        raise UserError(f"{key}: {error}" if key else str(error)) from error


def check(file: AnyFile, pins: AnyPins) -> None:
    """Checks pinned inputs that only TensorFlow can read, before the first step.

    Raises:
        UserError: if the source of a warm start can't be read, or lacks a variable that the file names.
    """
    if isinstance(file, InferFile) or not isinstance(pins, Pins) or pins.warm_start is None:
        return
    # Imported here because few pipelines have a warm start.
    from hubline.trainer.warm_start import check_source

    assert file.training.warm_start is not None  # there would be no pin
    check_source(file.training.warm_start, pins.warm_start.path)
