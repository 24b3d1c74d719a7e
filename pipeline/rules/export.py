"""Rules between the section `export` and those that it refers to."""

from collections.abc import Iterator

from hubline.components.config.serving import Serving
from hubline.core.config_errors import PlacedError
from hubline.pipeline.rules.features import described
from hubline.preprocessing.config import Features
from hubline.preprocessing.kinds.image import ImageKind
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.trainer.backbones.config import Backbones
from hubline.trainer.config.export import Export
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.model import Model


def tflite_takes_pixels_and_numbers(
    export: Export, features: Features, hubs: Hubs, backbones: Backbones
) -> Iterator[PlacedError]:
    if export.tflite is None:
        return
    fed = {name for module in (*hubs.values(), *backbones.values()) for name in module.inputs.values()}
    for name, feature in features.items():
        if (feature.is_model_input or name in fed) and not isinstance(feature, ImageKind | NumericFeature):
            yield (
                ("export", "tflite"),
                f"a TFLite model takes pixels and numbers, without strings and sparse tensors; '{name}' is "
                f"{described(feature)}; remove tflite, or the feature",
            )


def published_modules_are_fine_tuned(export: Export, model: Model, serving: Serving) -> Iterator[PlacedError]:
    if export.publish is None:
        return
    name = export.publish.module
    if name not in model.fine_tune:
        yield (
            ("export", "publish", "module"),
            f"'{name}' is not fine-tuned, so it would be published as it is; name it in model.fine_tune",
        )
    if export.publish.to.rstrip("/") == serving.destination.rstrip("/"):
        yield ("export", "publish", "to"), "this is serving.destination; give the module a folder of its own"


RULES = (tflite_takes_pixels_and_numbers, published_modules_are_fine_tuned)
