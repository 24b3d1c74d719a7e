"""Rules for label `class_and_box`: cached vectors would be inconsistent with moved boxes."""

from hubline.pipeline.labels.label import LabelRules
from hubline.preprocessing.config import Features, images
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel
from hubline.trainer.config.training import Training
from hubline.trainer.labels.parts import needs_pictures


def _training_mistake(label: ClassAndBoxLabel, training: Training, features: Features) -> str | None:
    moving = [name for change in training.augment if change.moves for name in change.names]
    if training.cache_views is not None and moving:
        return f"cache_views keeps no boxes, and {', '.join(moving)} moves them; leave cache_views out, or what moves"
    if training.cache_views is not None and needs_pictures(label, features):
        fit = images(features)[label.image].fit
        return (
            f"cache_views keeps no boxes, and fit: {fit} of '{label.image}' moves them; leave cache_views out, or "
            "let the image be stretched"
        )
    return None


RULES = LabelRules(training_mistake=_training_mistake, targets="boxes")
