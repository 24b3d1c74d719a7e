"""Types of the features that can feed hub modules and other backbones.

Steps that run modules read only these, so that their results don't depend on the code of other kinds.
"""

from typing import TYPE_CHECKING, Annotated, TypeAlias

from pydantic import Field

from hubline.preprocessing.kinds.image import ImageFeature, ImageToInfer
from hubline.preprocessing.kinds.text import TextFeature
from hubline.preprocessing.kinds.video import VideoFeature

if TYPE_CHECKING:  # mypy would not accept a dict of some kinds as a dict of all
    from hubline.preprocessing.config import Features

    ModuleFeatures: TypeAlias = Features
    ModuleFeaturesToInfer: TypeAlias = Features
else:
    ModuleFeatures = dict[str, Annotated[ImageFeature | VideoFeature | TextFeature, Field(discriminator="kind")]]
    ModuleFeaturesToInfer = dict[str, Annotated[ImageToInfer | VideoFeature | TextFeature, Field(discriminator="kind")]]
    """The same for `task: infer`, where images may keep their own size."""
