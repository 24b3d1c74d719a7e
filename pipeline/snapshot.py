"""Pins the inputs of a run."""

from hubline.artifacts.pins import AnyPins
from hubline.components.pin.snapshot import pin as pin_to_train
from hubline.components.pin.snapshot import pin_to_infer
from hubline.pipeline.config import AnyFile, InferFile


def pin(file: AnyFile) -> AnyPins:
    """Records the current state of everything that a pipeline file refers to.

    Raises:
        UserError: if something is missing or invalid.
    """
    if isinstance(file, InferFile):
        return pin_to_infer(file.data, file.hubs, file.model, file.predictions)
    return pin_to_train(file.data, file.features, file.hubs, file.serving.destination, file.backbones)
