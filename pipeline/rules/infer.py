"""Rules of a pipeline file with `task: infer`."""

import shlex
from collections.abc import Iterator

from hubline.components.config.predictions import Predictions, PushedModel
from hubline.core.config_errors import PlacedError
from hubline.pipeline.rules.features import can_feed_modules, described
from hubline.preprocessing.config import FeaturesToInfer
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.preprocessing.labels.classes import ClassLabel
from hubline.preprocessing.module_features import needs_statistics
from hubline.trainer.config.hubs import Hubs

_NEEDS = "task: infer needs one hub module, or the model of a serving folder (model: {from: …})"


def one_model_predicts(hubs: Hubs, model: PushedModel | None) -> Iterator[PlacedError]:
    if model is not None and hubs:
        yield ("model",), f"there are a hub module and a model; {_NEEDS}"
    elif model is None and not hubs:
        yield (), f"there is neither a hub module nor a model; {_NEEDS}"
    elif len(hubs) > 1:
        yield ("hubs",), f"there are {len(hubs)} hub modules; {_NEEDS}"


def the_hub_module_has_inputs(hubs: Hubs) -> Iterator[PlacedError]:
    for name, hub in hubs.items():
        if hub.role == "augment":
            yield ("hubs", name, "role"), "augmentation is for training; leave the role out"
        elif not hub.inputs:
            yield (
                ("hubs", name),
                "has no inputs; set the feature that feeds each. For a generator, whose input is a random vector: "
                f"hubline predict --hub {shlex.quote(hub.handle)} --latent N",
            )


def the_hub_module_uses_every_feature(
    features: FeaturesToInfer, hubs: Hubs, model: PushedModel | None
) -> Iterator[PlacedError]:
    for name, feature in features.items():
        if model is None and not can_feed_modules(feature):
            yield (
                ("features", name),
                "a hub module takes images, clips, sounds, numbers and texts as they are; "
                f"'{name}' is {described(feature)}",
            )
        elif any(hub.inputs for hub in hubs.values()) and not any(name in hub.inputs.values() for hub in hubs.values()):
            yield ("features", name), f"the hub module does not take '{name}'; name it in its inputs, or leave it out"


def numbers_need_no_training_split(features: FeaturesToInfer, hubs: Hubs) -> Iterator[PlacedError]:
    for name, feature in needs_statistics(features).items() if hubs else ():
        key = "missing" if feature.missing in ("mean", "median") else "normalize"
        mend = "missing: 0" if key == "missing" else "normalize: {mean: …, scale: …}"
        yield (
            ("features", name, key),
            f"{key} depends on a training split, which task: infer doesn't have; set constants, such as {mend}",
        )


def predictions_of_a_model_have_their_own_form(
    predictions: Predictions, model: PushedModel | None, label: ClassLabel | None
) -> Iterator[PlacedError]:
    for key in ("labels", "top", "min_score"):
        is_evaluated = key == "top" and label is not None
        if model is not None and model.record_input is not None and key != "min_score":
            continue
        if model is not None and key in predictions.model_fields_set and not is_evaluated:
            yield ("predictions", key), "is for hub modules; leave it out"


def numbers_for_the_hub_module_have_no_indicators(features: FeaturesToInfer, hubs: Hubs) -> Iterator[PlacedError]:
    for name, feature in features.items():
        if hubs and isinstance(feature, NumericFeature) and feature.missing_indicator:
            yield ("features", name, "missing_indicator"), "the hub module takes the numbers alone; leave it out"


RULES = (
    one_model_predicts,
    the_hub_module_has_inputs,
    the_hub_module_uses_every_feature,
    numbers_need_no_training_split,
    numbers_for_the_hub_module_have_no_indicators,
    predictions_of_a_model_have_their_own_form,
)
