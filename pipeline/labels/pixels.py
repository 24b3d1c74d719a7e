"""Rules for label `pixels`: the model has one image and the feature maps of one hub module as inputs."""

from collections.abc import Iterator

from hubline.core.config_errors import PlacedError
from hubline.pipeline.labels.label import LabelRules
from hubline.preprocessing.config import Features
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.trainer.backbones.config import Backbones
from hubline.trainer.config.hubs import Hubs, fed_hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training


def the_image_is_the_only_feature(features: Features, label: PixelsLabel) -> Iterator[PlacedError]:
    for name in features:
        if name != label.image and label.image in features:
            yield (
                ("features", name),
                f"a label of kind pixels is predicted from its image '{label.image}' alone; leave '{name}' out",
            )


def there_are_no_backbones(backbones: Backbones) -> Iterator[PlacedError]:
    for name in backbones:
        yield ("backbones", name), "a label of kind pixels needs the feature maps of a hub module; leave backbones out"


def one_hub_module_has_feature_maps(hubs: Hubs) -> Iterator[PlacedError]:
    fed = fed_hubs(hubs)
    if len(fed) != 1:
        yield (
            ("hubs",),
            f"a label of kind pixels needs the feature maps of one hub module, and features feed {len(fed) or 'none'}",
        )
    for name, hub in fed.items():
        if not hub.outputs:
            yield (
                ("hubs", name),
                "a label of kind pixels needs `outputs`: the feature maps to predict from, such as [block1, block2]",
            )


def the_head_is_convolutional(model: Model) -> Iterator[PlacedError]:
    if model.head.hidden:
        yield ("model", "head", "hidden"), "is for dense layers; for a label of kind pixels, set `channels`"


def no_views_are_cached(training: Training) -> Iterator[PlacedError]:
    if training.cache_views is not None:
        yield (
            ("training", "cache_views"),
            "caches vectors, and a label of kind pixels is learned from feature maps; leave it out",
        )


RULES = LabelRules(
    rules=(
        the_image_is_the_only_feature,
        there_are_no_backbones,
        one_hub_module_has_feature_maps,
        the_head_is_convolutional,
        no_views_are_cached,
    ),
    targets="masks",
)
