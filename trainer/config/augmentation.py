"""Types of `training.augment`."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    model_validator,
)

from hubline.core.config_base import Section
from hubline.trainer.config.names import HubName

_Area = Annotated[float, Field(gt=0.0, le=1.0)]


_Ratio = Annotated[float, Field(gt=0.0, le=100.0)]


def _from_to(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"the first value must not be greater than the second; got [{value[0]:g}, {value[1]:g}]")
    return value


class Window(Section):
    """A random window of the image, drawn by `tf.image.sample_distorted_bounding_box`."""

    area: Annotated[tuple[_Area, _Area], AfterValidator(_from_to)] = (0.08, 1.0)
    """Minimum and maximum area, as fractions of the image's area."""
    aspect_ratio: Annotated[tuple[_Ratio, _Ratio], AfterValidator(_from_to)] = (0.75, 4 / 3)
    """Minimum and maximum ratio of width to height, in pixels."""
    min_object_covered: float = Field(default=0.0, ge=0.0, le=1.0)
    """For a `class_and_box` label: minimum fraction of the object's box that the window covers. If no window is found,
    the whole image is kept."""


class Augmentation(Section):
    """One random change to the training images, drawn anew for each image and epoch. Set exactly one key."""

    flip_left_right: Literal[True] | None = None
    """Mirror each image with probability one half. The bare name `flip_left_right` means the same."""
    flip_up_down: Literal[True] | None = None
    """Flip each image upside down with probability one half. The bare name `flip_up_down` means the same."""
    transpose: Literal[True] | None = None
    """Swap the rows and columns of each image with probability one half (`tf.image.transpose`); for square images. The
    bare name `transpose` means the same."""
    rotate: float | None = Field(default=None, gt=0.0, le=180.0, examples=[15])
    """Maximum angle in degrees; images are rotated either way about their centre. Uncovered corners are black."""
    crop: Annotated[float, Field(gt=0.0, lt=1.0)] | Window | None = Field(
        default=None, examples=[0.2, {"area": [0.3, 1.0], "aspect_ratio": [0.75, 1.33]}]
    )
    """Maximum fraction of height and width to cut off before enlarging the rest to the image's size; or the area and
    aspect ratio of a window that is stretched to that size."""
    brightness: float | None = Field(default=None, gt=0.0, le=1.0)
    """Maximum brightness to add or subtract, as a fraction of white."""
    contrast: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Maximum relative change of contrast, up or down."""
    saturation: float | None = Field(default=None, gt=0.0, le=1.0)
    """Maximum relative change of colour saturation, up or down. With 1, some images become grey."""
    hue: float | None = Field(default=None, gt=0.0, le=0.5)
    """Maximum shift of the hue in either direction, as a fraction of the colour circle."""
    cutout: float | None = Field(default=None, gt=0.0, le=1.0)
    """Maximum side of a grey square that covers a random part of the image, as a fraction of the image's shorter
    side."""
    mixup: float | None = Field(default=None, gt=0.0, le=100.0, examples=[0.2])
    """Blend each image and its label with another of the batch (mixup). The share of the other image is drawn from
    Beta(mixup, mixup) and is at most one half."""
    hub: HubName | None = None
    """Apply a hub module that has `role: augment`, by its name in `hubs`."""

    @model_validator(mode="after")
    def _one(self) -> "Augmentation":
        if len(self.names) != 1:
            raise ValueError("an augmentation is one name, or one name and its strength, such as {brightness: 0.2}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The keys that are set; a valid section has exactly one."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def moves(self) -> bool:
        """Whether pixels move, and with them boxes and masks."""
        return any((self.flip_left_right, self.flip_up_down, self.transpose, self.rotate, self.crop))


_BARE = ("flip_left_right", "flip_up_down", "transpose")
"""The augmentations without a strength."""

_STRENGTH = {"rotate": 15, "mixup": 0.2, "hub": "NAME"}


def _by_name(value: Any) -> Any:
    if isinstance(value, str) and value in Augmentation.model_fields and value not in _BARE:
        raise ValueError(f"{value} needs a strength, such as {{{value}: {_STRENGTH.get(value, 0.2)}}}")
    return {value: True} if isinstance(value, str) else value


Augment = Annotated[
    Augmentation,
    BeforeValidator(
        _by_name, json_schema_input_type=Literal["flip_left_right", "flip_up_down", "transpose"] | Augmentation
    ),
]
"""An augmentation, or the bare name of one that takes no strength."""
