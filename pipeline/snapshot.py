"""What a run of any task settles first."""

from hubline.artifacts.pins import AnyPins
from hubline.components.pin.snapshot import pin as pin_to_train
from hubline.components.pin.snapshot import pin_to_infer
from hubline.pipeline.config import AnyFile, InferFile


def pin(file: AnyFile) -> AnyPins:
    """Looks at all that a pipeline file points at, as it is now.

    Raises:
        UserError: where something is not there, or has faults.
    """
    if isinstance(file, InferFile):
        return pin_to_infer(file.data, file.hubs, file.model, file.predictions)
    return pin_to_train(file.data, file.features, file.hubs, file.serving.destination, file.backbones)
