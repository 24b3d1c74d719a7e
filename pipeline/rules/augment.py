"""Rules between `training.augment` and the images, the label and the hub modules."""

from collections.abc import Iterator, Mapping

from hubline.core.config_errors import PlacedError
from hubline.pipeline.labels.parts import RULES as OF_LABEL
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.feature_columns import images
from hubline.preprocessing.kinds.image import ImageKind
from hubline.trainer.config.augmentation import Augmentation, Window
from hubline.trainer.config.hubs import Hubs, augmenting_hubs
from hubline.trainer.config.training import Training


def augmentations_fit(training: Training, features: Features, label: Label, hubs: Hubs) -> Iterator[PlacedError]:
    for index, change in enumerate(training.augment):
        if message := _error(change, features, label, hubs):
            yield ("training", "augment", index), message


def _error(change: Augmentation, features: Features, label: Label, hubs: Hubs) -> str | None:
    pictures = images(features)
    if not pictures:
        return "augment changes images, and no feature is one; leave it out"
    if change.hub is not None:
        return _hub_error(change.hub, label, hubs)
    if (change.saturation or change.hue) and all(picture.channels == 1 for picture in pictures.values()):
        return "saturation and hue are of colours, and every image has channels: 1; leave it out"
    if change.transpose and (fault := _not_square(pictures)):
        return fault
    has_boxes = OF_LABEL.of(label.kind).targets == "boxes"
    if isinstance(change.crop, Window) and change.crop.min_object_covered and not has_boxes:
        return f"min_object_covered needs the boxes of a label of kind class_and_box, and this one is {label.kind}"
    if change.mixup is None:
        return None
    if not label.can_be_mixed:
        return f"mixup mixes labels, and one of kind {label.kind} cannot be mixed; leave it out"
    others = [name for name in features if name not in pictures]
    return f"mixup mixes images, and the model has other inputs: {', '.join(others)}; leave it out" if others else None


def _not_square(pictures: Mapping[str, ImageKind]) -> str | None:
    for name, picture in pictures.items():
        if picture.size[0] != picture.size[1]:
            height, width = picture.size
            return f"transpose swaps height and width, and '{name}' is {height} x {width}; make its size square"
    return None


def _hub_error(name: str, label: Label, hubs: Hubs) -> str | None:
    if name not in augmenting_hubs(hubs):
        return f"hubs.{name} is a backbone; a module that changes images has role: augment"
    hub = hubs[name]
    if label.picture not in hub.inputs.values() or hub.moves_pixels is False:
        return None
    targets = OF_LABEL.of(label.kind).targets
    moves = "moves pixels" if hub.moves_pixels else "may move pixels"
    return (
        f"hubs.{name} {moves} of '{label.picture}', and the label's {targets} would stay where they are; if the module "
        f"moves nothing, set hubs.{name}.moves_pixels: false"
    )


RULES = (augmentations_fit,)
