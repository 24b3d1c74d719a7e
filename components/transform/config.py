"""Type of a property of Transform."""

from hubline.core.config_base import Section
from hubline.preprocessing.config import Features, Label


class TransformConfig(Section):
    """Everything that the transform graph depends on."""

    features: Features
    label: Label
