"""Types of the features that can feed hub modules and other backbones.

Steps that run modules read only these, so that their results don't depend on the code of other kinds.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.preprocessing.kinds.image import ImageFeature, InferenceImageFeature
from hubline.preprocessing.kinds.kind import FeatureKind
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.preprocessing.kinds.text import TextFeature
from hubline.preprocessing.kinds.video import VideoFeature

if TYPE_CHECKING:  # mypy would not accept a dict of some kinds as a dict of all
    from hubline.preprocessing.config import Features

    ModuleFeatures: TypeAlias = Features
    ModuleFeaturesToInfer: TypeAlias = Features
else:
    _Other = VideoFeature | AudioFeature | TextFeature | NumericFeature
    ModuleFeatures = dict[str, Annotated[ImageFeature | _Other, Field(discriminator="kind")]]
    ModuleFeaturesToInfer = dict[str, Annotated[InferenceImageFeature | _Other, Field(discriminator="kind")]]
    """The same for `task: infer`, where images may keep their own size."""


def needs_statistics(features: Mapping[str, FeatureKind]) -> dict[str, NumericFeature]:
    """The numeric features whose values depend on statistics of the training split."""
    return {
        name: feature
        for name, feature in features.items()
        if isinstance(feature, NumericFeature) and feature.needs_statistics
    }
