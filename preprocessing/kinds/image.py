"""Feature kind `image`: decodes images to pixels, and scales pixels for a module."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from hubline.core.lazy_import import tf
from hubline.preprocessing import encoded_images
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds.kind import Kind, Read, Values

_ENOUGH = 0.25
"""Minimum fraction of a box that must lie in the image for the box to count."""


class Pictures(Kind):
    """Base of kinds with encoded images in a bytes column, decoded only where the model needs pixels."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("bytes",)

    size: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]] = Field(
        examples=[[224, 224]]
    )
    """Height and width in pixels that images are resized to."""
    channels: Literal[1, 3] = 3
    """3 for RGB, 1 for greyscale. Other images are converted."""
    fit: Literal["stretch", "crop", "pad", "crop_or_pad"] = "stretch"
    """How to fit images to `size`: `stretch` resizes without keeping the aspect ratio; `crop` resizes the largest
    centred window with the aspect ratio of `size`; `pad` resizes the whole image and fills the rest with black;
    `crop_or_pad` does not resize but crops around the centre or pads with black."""
    resize: Literal["bilinear", "nearest", "bicubic", "area"] = "bilinear"
    """Interpolation method."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """Values of black and white pixels. Image modules of TensorFlow Hub expect [0, 1] by convention."""
    standardize: Literal["per_image"] | None = None
    """In place of `value_range`: `per_image` subtracts each image's mean and divides by its standard deviation."""

    @field_validator("value_range")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError(
                f"the first value must be the smaller one, such as [0, 1]; got [{value[0]:g}, {value[1]:g}]"
            )
        return value

    @model_validator(mode="after")
    def _one_range(self) -> Pictures:
        if self.standardize is not None and "value_range" in self.model_fields_set:
            raise ValueError("standardize and value_range both set the pixel scaling; remove one")
        return self

    @property
    def is_taken_in(self) -> bool:
        """False: only hub modules and backbones take images."""
        return False

    def transform(self, name: str, read: Read) -> dict[str, Values]:
        """Returns nothing; images bypass the transform graph so that they are not copied."""
        return {}

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        return {name: tf.TensorSpec([None, *self.shape], tf.uint8)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example's pixels."""
        raise NotImplementedError

    def encoded(self, column: Values) -> tf.Tensor:
        """Encoded images to decode, string [batch] or [batch, n], from the parsed column."""
        raise NotImplementedError

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes one example's row of `encoded`: uint8 pixels of `shape`.

        Raises:
            tf.errors.InvalidArgumentError: if an image cannot be decoded.
        """
        raise NotImplementedError


class ImageFeature(Pictures):
    """An encoded image (JPEG, PNG, GIF or BMP) in a bytes column, decoded only where the model needs pixels."""

    kind: Literal["image"]

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.size, self.channels)

    def encoded(self, column: Values) -> tf.Tensor:
        from hubline.preprocessing.columns import one_each

        return one_each(column)

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        return pixels(self, encoded)


class ImageToInfer(ImageFeature):
    """An encoded image for inference. It may keep its own size, which is not possible in training because batches need
    one size."""

    size: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]] | None = Field(  # type: ignore[assignment]
        default=None, examples=[[224, 224]]
    )
    """Height and width in pixels that images are resized to. Default: the module's input size. If the module accepts
    any size, each image keeps its own and is predicted on alone."""

    @property
    def shape(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """Height, width and channels; height and width are None if they vary."""
        return (*(self.size or (None, None)), self.channels)


def pixels(feature: Pictures, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image, rotates it upright by its EXIF orientation, and resizes it.

    Args:
        feature: Size, channels, fit and interpolation.
        encoded: A scalar string in a format that `encoded_images.decode` supports.

    Returns:
        uint8 of shape [height, width, channels]. Rounding, as in other image libraries, cuts the memory of pixels kept
        between epochs to a quarter and makes them equal to those of a served model.

    Raises:
        tf.errors.InvalidArgumentError: if the bytes are not such an image.
    """
    if feature.fit in ("crop", "crop_or_pad"):
        decoded = encoded_images.decode_window(encoded, partial(_window, feature))
    else:
        decoded = encoded_images.decode(encoded)
    if feature.channels == 1:
        decoded = tf.image.rgb_to_grayscale(decoded)
    top, left, *inner = tf.unstack(_placed(feature, tf.shape(decoded)))
    if feature.fit != "crop_or_pad":
        decoded = tf.image.resize(decoded, inner, method=feature.resize)
    if feature.resize == "bicubic":  # bicubic overshoots its input range
        decoded = tf.clip_by_value(decoded, 0, 255)
    if feature.fit in ("pad", "crop_or_pad"):
        decoded = tf.image.pad_to_bounding_box(decoded, top, left, *feature.size)
    rounded = tf.cast(tf.round(decoded), tf.uint8)
    return tf.ensure_shape(rounded, [*feature.size, feature.channels])


def scaled(feature: Pictures, images: tf.Tensor) -> tf.Tensor:
    """Pixels, uint8 [..., height, width, channels], as float32: scaled from black at `value_range[0]` to white at
    `value_range[1]`, or standardized per image."""
    if feature.standardize:
        return tf.image.per_image_standardization(images)
    low, high = feature.value_range
    return tf.cast(images, tf.float32) * ((high - low) / 255.0) + low


def decode(feature: Pictures, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes and scales one image for a module."""
    return scaled(feature, pixels(feature, encoded))


def boxes(feature: Pictures, shape: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Maps boxes from an image to the model's input image.

    Args:
        feature: Size and fit.
        shape: Shape of the upright image, int32 [height, width, ...].
        boxes: float32 [n, 4]: top, left, bottom and right, as fractions of the image's height and width.

    Returns:
        The boxes as fractions of `size`. Cropped parts lie below 0 or above 1; `clipped` cuts them off.
    """
    size = tf.cast(shape[:2], tf.float32)
    if feature.fit == "stretch":
        return boxes
    if feature.fit in ("crop", "crop_or_pad"):
        window = tf.cast(_window(feature, shape), tf.float32)
        boxes = (boxes * tf.tile(size, [2]) - tf.tile(window[:2], [2])) / tf.tile(window[2:], [2])
        shape = tf.cast(window[2:], tf.int32)
    placed = tf.cast(_placed(feature, shape), tf.float32)
    return (boxes * tf.tile(placed[2:], [2]) + tf.tile(placed[:2], [2])) / tf.constant(2 * feature.size, tf.float32)


def mask(feature: Pictures, numbers: tf.Tensor, outside: int) -> tf.Tensor:
    """Maps a mask from an image to the model's input image by nearest-neighbour interpolation.

    Args:
        feature: Size and fit.
        numbers: Class numbers, uint8 [height, width, 1], of the image's size.
        outside: Value of padding.

    Returns:
        uint8 [height, width, 1] of the feature's size.
    """
    if feature.fit in ("crop", "crop_or_pad"):
        top, left, height, width = tf.unstack(_window(feature, tf.shape(numbers)))
        numbers = numbers[top : top + height, left : left + width]
    top, left, *inner = tf.unstack(_placed(feature, tf.shape(numbers)))
    if feature.fit != "crop_or_pad":
        numbers = tf.image.resize(numbers, inner, method="nearest")
    if feature.fit in ("pad", "crop_or_pad"):
        there = tf.image.pad_to_bounding_box(tf.ones_like(numbers), top, left, *feature.size) > 0
        numbers = tf.where(there, tf.image.pad_to_bounding_box(numbers, top, left, *feature.size), outside)
    return tf.ensure_shape(numbers, [*feature.size, 1])


def clipped(boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Clips boxes to the image.

    Args:
        boxes: float32 [n, 4]: top, left, bottom and right, as fractions of the image.

    Returns:
        The boxes clipped to [0, 1], and whether at least a quarter of each box lies in the image, bool [n].
    """
    inside = tf.clip_by_value(boxes, 0.0, 1.0)

    def area(of: tf.Tensor) -> tf.Tensor:
        return (of[:, 2] - of[:, 0]) * (of[:, 3] - of[:, 1])

    return inside, (area(inside) > 0) & (area(inside) >= _ENOUGH * area(boxes))


def _window(feature: Pictures, shape: tf.Tensor) -> tf.Tensor:
    """The centred window to decode of a cropped image: top, left, height and width, in pixels.

    With `fit: crop`, the largest window with the aspect ratio of `size`; otherwise a window no larger than `size`.

    Args:
        feature: Size and fit.
        shape: Shape of the image, int32 [height, width, ...].
    """
    height, width = feature.size
    if feature.fit == "crop":  # in integers: with floats an exact fit can come out one pixel short
        height, width = shape[1] * height // width, shape[0] * width // height
    height, width = (tf.clip_by_value(most, 1, here) for most, here in ((height, shape[0]), (width, shape[1])))
    return tf.stack([(shape[0] - height) // 2, (shape[1] - width) // 2, height, width])


def _placed(feature: Pictures, shape: tf.Tensor) -> tf.Tensor:
    """The position of the decoded image in the model's input image: top, left, height and width, in pixels.

    Args:
        feature: Size and fit.
        shape: Shape of the decoded image, int32 [height, width, ...].
    """
    height, width = feature.size
    if feature.fit == "crop_or_pad":
        return tf.stack([(height - shape[0]) // 2, (width - shape[1]) // 2, shape[0], shape[1]])
    if feature.fit != "pad":
        return tf.constant([0, 0, height, width])
    # Like tf.image.resize_with_pad, but in integers.
    top = tf.maximum((height * shape[1] - width * shape[0]) // (2 * shape[1]), 0)
    left = tf.maximum((width * shape[0] - height * shape[1]) // (2 * shape[0]), 0)
    inner = tf.stack([shape[0] * width // shape[1], shape[1] * height // shape[0]])
    return tf.concat([[top, left], tf.clip_by_value(inner, 1, feature.size)], axis=0)
