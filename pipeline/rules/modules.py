"""Rules between hub modules and backbones and the sections that refer to them."""

from collections.abc import Iterator

from hubline.core.config_errors import PlacedError
from hubline.pipeline.rules.features import can_feed_modules, described
from hubline.preprocessing.config import Features
from hubline.preprocessing.kinds.image import ImageFeature
from hubline.preprocessing.kinds.kind import CategoryKind
from hubline.trainer.backbones.config import Backbones, Builder
from hubline.trainer.config.hubs import Hubs, augmenting_hubs, fed_hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training


def names_are_distinct(hubs: Hubs, backbones: Backbones) -> Iterator[PlacedError]:
    for name in backbones.keys() & hubs.keys():
        yield ("backbones", name), f"'{name}' is a hub module and a backbone; rename one of them"


def hub_modules_are_used(hubs: Hubs, features: Features, model: Model) -> Iterator[PlacedError]:
    pretrained = {feature.pretrained for feature in features.values() if isinstance(feature, CategoryKind)}
    for name, hub in hubs.items():
        if not hub.inputs and name not in pretrained and name not in model.fine_tune:
            yield (
                ("hubs", name),
                "has no inputs, and no feature has it as its `pretrained` embedding; set the feature that feeds it",
            )


def fine_tuned_modules_feed_the_head(hubs: Hubs, model: Model) -> Iterator[PlacedError]:
    for name in model.fine_tune.keys() & hubs.keys():
        if hubs[name].role == "augment":
            yield ("model", "fine_tune", name), f"'{name}' augments, and only modules that feed the head are trained"
        elif not hubs[name].inputs:
            yield ("model", "fine_tune", name), f"no feature feeds '{name}'; set it in hubs.{name}.inputs"


def modules_take_images_clips_texts_and_numbers(
    hubs: Hubs, backbones: Backbones, features: Features
) -> Iterator[PlacedError]:
    builders = {name: backbone for name, backbone in backbones.items() if isinstance(backbone, Builder)}
    for section, modules in (("hubs", fed_hubs(hubs)), ("backbones", builders)):
        for name, module in modules.items():
            for argument, fed in module.inputs.items():
                if not can_feed_modules(features[fed]):
                    yield (
                        (section, name, "inputs", argument),
                        f"'{name}' takes images, clips, sounds and texts as they are, and numeric features; '{fed}' is "
                        f"{described(features[fed])}",
                    )


def augmenting_modules_change_images(hubs: Hubs, features: Features, training: Training) -> Iterator[PlacedError]:
    for name, hub in augmenting_hubs(hubs).items():
        ((argument, fed),) = hub.inputs.items()
        if not isinstance(features[fed], ImageFeature):
            yield ("hubs", name, "inputs", argument), f"only images are augmented; '{fed}' is {features[fed].kind}"
        if not any(change.hub == name for change in training.augment):
            yield ("hubs", name, "role"), f"training.augment does not name it: {{hub: {name}}}"


def backbones_fit_their_image(backbones: Backbones, features: Features) -> Iterator[PlacedError]:
    for name, backbone in backbones.items():
        if isinstance(backbone, Builder):
            continue
        feature, location = features[backbone.input], ("backbones", name, "input")
        if not isinstance(feature, ImageFeature):
            yield location, f"the backbone '{name}' takes an image; '{backbone.input}' is {described(feature)}"
            continue
        if feature.channels not in backbone.channels:
            yield location, f"'{name}' takes images of 3 channels; '{backbone.input}' has {feature.channels}"
        if min(feature.size) < backbone.least:
            least, size = backbone.least, " x ".join(map(str, feature.size))
            yield location, f"'{name}' takes images of at least {least} x {least}; '{backbone.input}' is {size}"


def views_are_cached_for_hub_modules(training: Training, backbones: Backbones) -> Iterator[PlacedError]:
    if backbones and training.cache_views is not None:
        yield (
            ("training", "cache_views"),
            "views are cached for hub modules only, and a backbone gets every image newly augmented; leave it out",
        )


RULES = (
    names_are_distinct,
    hub_modules_are_used,
    fine_tuned_modules_feed_the_head,
    modules_take_images_clips_texts_and_numbers,
    augmenting_modules_change_images,
    backbones_fit_their_image,
    views_are_cached_for_hub_modules,
)
