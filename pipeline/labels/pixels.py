"""Rules for label `pixels`: the model has one image and the feature maps of one hub module as inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hubline.pipeline.labels.label import LabelRules
from hubline.preprocessing.config import Features
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.trainer.config.hubs import fed_hubs
from hubline.trainer.config.training import Training

if TYPE_CHECKING:
    from hubline.pipeline.config import PipelineFile


def _training_mistake(label: PixelsLabel, training: Training, features: Features) -> str | None:
    if training.cache_views is None:
        return None
    return "cache_views keeps vectors, and a label of pixels is learned from feature maps; leave it out"


def _mistakes(file: PipelineFile) -> Iterator[str]:
    image = file.label.picture
    if file.backbones:
        yield f"a label of pixels takes a hub module, and no backbones; leave out {', '.join(file.backbones)}"
    others = [name for name in file.features if name != image]
    if others:
        yield f"a label of pixels is told from its picture '{image}' alone; leave out {', '.join(others)}"
    fed = fed_hubs(file.hubs)
    if len(fed) != 1:
        yield f"a label of pixels takes the feature maps of one hub module, and features feed {len(fed) or 'none'}"
    for name, hub in fed.items():
        if not hub.outputs:
            example = "such as [block1, block2]"
            yield f"hubs.{name}.outputs names the feature maps that a label of pixels is told from, {example}"
    if file.model.head.hidden:
        yield "model.head.hidden is of dense layers; a label of pixels has `channels`"


RULES = LabelRules(training_mistake=_training_mistake, mistakes=_mistakes, targets="masks")
