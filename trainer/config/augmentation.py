"""The types of `training.augment` in the pipeline file."""

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
        raise ValueError(f"the first value must not be the greater one; got [{value[0]:g}, {value[1]:g}]")
    return value


class Window(Section):
    """A window of the image, as `tf.image.sample_distorted_bounding_box` draws it."""

    area: Annotated[tuple[_Area, _Area], AfterValidator(_from_to)] = (0.08, 1.0)
    """The least and the greatest share of the image's area that it has."""
    aspect_ratio: Annotated[tuple[_Ratio, _Ratio], AfterValidator(_from_to)] = (0.75, 4 / 3)
    """The least and the greatest of its width by its height, in pixels."""


class Augmentation(Section):
    """One random change of the training images, drawn anew for each image and epoch. Give exactly one."""

    flip_left_right: Literal[True] | None = None
    """Mirror half of the images; the name alone says the same."""
    flip_up_down: Literal[True] | None = None
    """Turn half of the images upside down."""
    rotate: float | None = Field(default=None, gt=0.0, le=180.0, examples=[15])
    """Turn by up to so many degrees, either way, about the middle; corners that nothing comes to are black."""
    crop: Annotated[float, Field(gt=0.0, lt=1.0)] | Window | None = Field(
        default=None, examples=[0.2, {"area": [0.3, 1.0], "aspect_ratio": [0.75, 1.33]}]
    )
    """Cut off up to this share of the height and width, and enlarge what is left; or cut a window of some area and
    proportions, and stretch it to the image's size."""
    brightness: float | None = Field(default=None, gt=0.0, le=1.0)
    """Add up to this share of white, or take it away."""
    contrast: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Raise or lower the contrast by up to this share."""
    saturation: float | None = Field(default=None, gt=0.0, le=1.0)
    """Raise or lower the saturation of colours by up to this share; 1 takes some to grey."""
    hue: float | None = Field(default=None, gt=0.0, le=0.5)
    """Turn the hue by up to this share of the circle of colours, either way."""
    cutout: float | None = Field(default=None, gt=0.0, le=1.0)
    """Cover a square with grey, somewhere in the image; its side is up to this share of the image's shorter one."""
    mixup: float | None = Field(default=None, gt=0.0, le=100.0, examples=[0.2])
    """Lay each image over another of its batch, and its label over that one's: the share of the other is drawn from a
    Beta distribution with this number for both parameters, and is at most a half."""
    hub: HubName | None = None
    """What a hub module with `role: augment` makes of the images, by its name in `hubs`."""

    @model_validator(mode="after")
    def _one(self) -> "Augmentation":
        if len(self.names) != 1:
            raise ValueError("an augmentation is one name, or one name and its strength, such as {brightness: 0.2}")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The changes that have a value: one, once the section is valid."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def moves(self) -> bool:
        """Whether pixels, and with them boxes and masks, come to other places."""
        return any((self.flip_left_right, self.flip_up_down, self.rotate, self.crop))


_STRENGTH = {"rotate": 15, "mixup": 0.2, "hub": "NAME"}


def _by_name(value: Any) -> Any:
    if isinstance(value, str) and value in Augmentation.model_fields and not value.startswith("flip"):
        raise ValueError(f"{value} needs a strength, such as {{{value}: {_STRENGTH.get(value, 0.2)}}}")
    return {value: True} if isinstance(value, str) else value


Augment = Annotated[
    Augmentation,
    BeforeValidator(_by_name, json_schema_input_type=Literal["flip_left_right", "flip_up_down"] | Augmentation),
]
"""An augmentation, or the name of one that has no strength."""
