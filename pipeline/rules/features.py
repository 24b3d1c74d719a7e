"""Rules between features and the parts of the model that use them."""

from collections.abc import Iterator

from hubline.core.config_errors import PlacedError
from hubline.preprocessing.config import Feature, Features
from hubline.preprocessing.kinds.encoded import EncodedKind
from hubline.preprocessing.kinds.image import ImageFeature
from hubline.preprocessing.kinds.kind import CategoryKind
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.backbones.config import AnyBackbone, Backbones
from hubline.trainer.config.hubs import Hub, Hubs, augmenting_hubs, fed_hubs
from hubline.trainer.config.model import Model


def is_for_modules(feature: Feature) -> bool:
    """Whether a feature is an input of hub modules and backbones, rather than of the model's head."""
    return isinstance(feature, EncodedKind) or (isinstance(feature, TextFeature) and feature.bag is None)


def can_feed_modules(feature: Feature) -> bool:
    """Whether a feature may be an input of hub modules and backbones."""
    return is_for_modules(feature) or isinstance(feature, NumericFeature)


def described(feature: Feature) -> str:
    """The kind of a feature, for messages."""
    return "text with a bag" if feature.kind == "text" and not is_for_modules(feature) else feature.kind


def the_model_has_an_input(features: Features, hubs: Hubs, backbones: Backbones) -> Iterator[PlacedError]:
    if not hubs and not backbones and not any(feature.is_model_input for feature in features.values()):
        yield (
            ("features",),
            "the model has no input: there are neither hubs nor backbones, and no feature is encoded for the head",
        )


def modules_use_images_clips_and_texts(features: Features, hubs: Hubs, backbones: Backbones) -> Iterator[PlacedError]:
    for name, feature in features.items():
        if is_for_modules(feature) and not _users(name, hubs, backbones):
            yield (
                ("features", name),
                f"no hub module or backbone takes the {feature.kind} '{name}'; name it in the inputs of one, or leave "
                "it out",
            )


def numbers_for_modules_have_no_indicators(
    features: Features, hubs: Hubs, backbones: Backbones
) -> Iterator[PlacedError]:
    for name, feature in features.items():
        if not isinstance(feature, NumericFeature):
            continue
        users = list(_users(name, hubs, backbones))
        if users and feature.missing_indicator:
            yield ("features", name, "missing_indicator"), f"{users[0]} takes the numbers alone; leave it out"
        if not users and feature.shape is not None:
            yield ("features", name, "shape"), f"no hub module or backbone takes '{name}'; leave shape out"


def modules_that_scale_pixels_get_them_unscaled(
    features: Features, hubs: Hubs, backbones: Backbones
) -> Iterator[PlacedError]:
    for name, feature in features.items():
        users = _users(name, hubs, backbones)
        if not isinstance(feature, ImageFeature) or not users or any(map(_takes_range, users.values())):
            continue
        key = "standardize" if feature.standardize else "value_range" if feature.value_range != (0.0, 1.0) else None
        if key:
            user = next(iter(users))
            yield ("features", name, key), f"{user} scales the pixels of '{name}' in its own way; leave {key} out"


def pretrained_embeddings_have_a_module_and_words(features: Features, hubs: Hubs) -> Iterator[PlacedError]:
    modules = hubs.keys() - augmenting_hubs(hubs).keys()
    for name, feature in features.items():
        if not isinstance(feature, CategoryKind) or feature.pretrained is None:
            continue
        location = ("features", name, "encode", "pretrained")
        if feature.pretrained not in modules:
            known = ", ".join(sorted(modules)) or "none"
            yield location, f"there is no hub module '{feature.pretrained}'; the hub modules are: {known}"
        elif not feature.has_words:
            yield location, f"'{name}' has no vocabulary, so no words for the hub module '{feature.pretrained}'"


def the_wide_part_uses_categories(features: Features, model: Model) -> Iterator[PlacedError]:
    for index, name in enumerate(model.wide):
        feature = features[name]
        if is_for_modules(feature) or not isinstance(feature, CategoryKind):
            yield ("model", "wide", index), f"the wide part takes categories; '{name}' is {described(feature)}"
        elif not feature.is_model_input:
            yield ("model", "wide", index), f"'{name}' has encode: none; remove that, or '{name}' from the wide part"


def _users(feature: str, hubs: Hubs, backbones: Backbones) -> dict[str, Hub | AnyBackbone]:
    """The hub modules and backbones that use a feature, by their description."""
    described: dict[str, Hub | AnyBackbone] = {f"the hub module '{name}'": hub for name, hub in fed_hubs(hubs).items()}
    described |= {f"the backbone '{name}'": backbone for name, backbone in backbones.items()}
    return {name: user for name, user in described.items() if feature in user.inputs.values()}


def _takes_range(user: Hub | AnyBackbone) -> bool:
    """Whether a module requires images in their feature's `value_range`, or standardized."""
    return isinstance(user, Hub) or user.takes_range


RULES = (
    the_model_has_an_input,
    modules_use_images_clips_and_texts,
    numbers_for_modules_have_no_indicators,
    modules_that_scale_pixels_get_them_unscaled,
    pretrained_embeddings_have_a_module_and_words,
    the_wide_part_uses_categories,
)
