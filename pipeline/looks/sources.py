"""Looks at what training starts from besides data: backbones, the source of a warm start, a loss of one's own."""

from collections.abc import Iterator
from functools import partial

from hubline.components.backbone.sources import fingerprint
from hubline.components.trainer.warm_start_source import find_checkpoint
from hubline.core.config_base import is_remote
from hubline.core.config_errors import PlacedError
from hubline.pipeline.looks.look import fault_at
from hubline.trainer.backbones.config import Backbones
from hubline.trainer.config.losses import CustomLoss
from hubline.trainer.config.training import Training
from hubline.trainer.config.warm_start import SERVING
from hubline.trainer.user_source import source_digest


def backbones_exist(backbones: Backbones) -> Iterator[PlacedError]:
    for name, backbone in backbones.items():
        weights = backbone.weights_file
        if weights is None or not is_remote(weights):
            key = ("weights",) if weights else ("call",) if backbone.kind == "builder" else ()
            yield from fault_at(("backbones", name, *key), partial(fingerprint, backbone))


def warm_starts_exist(training: Training) -> Iterator[PlacedError]:
    source = training.warm_start.source if training.warm_start else SERVING
    if source != SERVING and not is_remote(source):
        yield from fault_at(("training", "warm_start", "from"), partial(find_checkpoint, source))


def losses_exist(training: Training) -> Iterator[PlacedError]:
    if isinstance(training.loss, CustomLoss):
        yield from fault_at(("training", "loss", "call"), partial(source_digest, training.loss))


LOOKS_TO_TRAIN = (backbones_exist, warm_starts_exist, losses_exist)
