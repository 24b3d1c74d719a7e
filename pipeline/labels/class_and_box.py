"""Rules for label `class_and_box`: cached vectors would be inconsistent with moved boxes."""

from collections.abc import Iterator

from hubline.core.config_errors import PlacedError
from hubline.pipeline.labels.label import ONE_VECTOR, LabelRules
from hubline.preprocessing.config import Features
from hubline.preprocessing.feature_columns import images
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel
from hubline.trainer.config.training import Training
from hubline.trainer.labels.parts import needs_pictures


def cached_views_keep_boxes_in_place(
    training: Training, label: ClassAndBoxLabel, features: Features
) -> Iterator[PlacedError]:
    location = ("training", "cache_views")
    if training.cache_views is None or label.image not in images(features):
        return
    if moving := [name for change in training.augment if change.moves for name in change.names]:
        yield location, f"cached views have no boxes, and {', '.join(moving)} moves them; leave out one or the other"
    elif needs_pictures(label, features):
        feature = images(features)[label.image]
        crop = next((key for key in ("central_crop", "crop_box") if getattr(feature, key) is not None), None)
        cause = crop or f"fit: {feature.fit}"
        mend = f"leave {crop} out" if crop else "leave it out, or set fit: stretch"
        yield location, f"cached views have no boxes, and {cause} of '{label.image}' moves them; {mend}"


RULES = LabelRules(rules=(*ONE_VECTOR, cached_views_keep_boxes_in_place), targets="boxes")
