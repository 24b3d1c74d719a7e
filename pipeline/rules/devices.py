"""Rules between the devices of a training and what is trained."""

from collections.abc import Iterator

from hubline.core.config_errors import PlacedError
from hubline.preprocessing.config import Features
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training


def xla_compiles_no_texts(training: Training, model: Model, hubs: Hubs, features: Features) -> Iterator[PlacedError]:
    if not training.devices.jit_compile:
        return
    for name in model.fine_tune:
        fed = hubs[name].inputs.values() if name in hubs else ()
        if any(isinstance(features.get(each), TextFeature) for each in fed):
            yield (
                ("training", "devices", "jit_compile"),
                f"XLA can't compile operations on texts, which the fine-tuned '{name}' takes; leave jit_compile out",
            )


RULES = (xla_compiles_no_texts,)
