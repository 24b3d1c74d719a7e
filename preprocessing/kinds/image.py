"""Kind `image`: from encoded bytes to pixels, and from pixels to the tensor that a module takes."""

from __future__ import annotations

from functools import partial
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from hubline.core.lazy_import import tf
from hubline.preprocessing import encoded_images
from hubline.preprocessing.kinds.kind import ColumnType, Kind, Read, Values

_ENOUGH = 0.25
"""The share of a box that must be in the picture for it to count."""


class Pictures(Kind):
    """A kind of encoded images in a bytes column, decoded only where the model needs pixels."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("bytes",)

    size: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]] = Field(
        examples=[[224, 224]]
    )
    """Height and width in pixels that the image is resized to."""
    channels: Literal[1, 3] = 3
    """3 for RGB, 1 for grey; an image of the other sort is converted."""
    fit: Literal["stretch", "crop", "pad", "crop_or_pad"] = "stretch"
    """How an image of another size comes to fit: `stretch` resizes it whatever its proportions; `crop` cuts it to the
    middle that has those of `size`, and resizes that; `pad` resizes it as a whole, and what is left over is black;
    `crop_or_pad` does not resize: what is too much is cut off around the middle, and what lacks is black."""
    resize: Literal["bilinear", "nearest", "bicubic", "area"] = "bilinear"
    """How pixels are interpolated."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """What black and white become. Image modules of TensorFlow Hub take [0, 1] by convention."""
    standardize: Literal["per_image"] | None = None
    """In place of `value_range`: the pixels of each image less their mean, by their deviation."""

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
            raise ValueError("standardize says what pixels become, and so does value_range; leave one of them out")
        return self

    @property
    def is_taken_in(self) -> bool:
        """A hub module takes it."""
        return False

    def transform(self, name: str, read: Read) -> dict[str, Values]:
        """Nothing: images pass the transform graph by, so that none is copied there."""
        return {}

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        """Its pixels."""
        return {name: tf.TensorSpec([None, *self.shape], tf.uint8)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the pixels of one example."""
        raise NotImplementedError

    def encoded(self, column: Values) -> tf.Tensor:
        """Of its column as parsed, what is decoded of each example: string [batch] or [batch, n]."""
        raise NotImplementedError

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        """What `encoded` gives of one example as its pixels, uint8 of `shape`.

        Raises:
            tf.errors.InvalidArgumentError: where it does not decode.
        """
        raise NotImplementedError


class ImageFeature(Pictures):
    """An image kept encoded (JPEG, PNG, GIF or BMP) in one bytes column, decoded only where the model needs pixels."""

    kind: Literal["image"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels."""
        return (*self.size, self.channels)

    def encoded(self, column: Values) -> tf.Tensor:
        """The one value of each record, string [batch]."""
        from hubline.preprocessing.columns import one_each

        return one_each(column)

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        """Its `pixels`."""
        return pixels(self, encoded)


class ImageToInfer(ImageFeature):
    """An image that a hub module is asked about as it is. It may keep its own size, which in training, where images
    come in batches, it may not."""

    size: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]] | None = Field(  # type: ignore[assignment]
        default=None, examples=[[224, 224]]
    )
    """Height and width in pixels that the image is resized to. Where this is absent, those that the module says; where
    it says none, each image keeps its own, and the module is asked about one at a time."""

    @property
    def shape(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """Height and width, None where they may vary, and channels."""
        return (*(self.size or (None, None)), self.channels)


def pixels(feature: Pictures, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes one image, turns it upright as its EXIF says, and resizes it.

    Args:
        feature: Size, channels, fit and interpolation.
        encoded: A scalar string, in a format that `encoded_images.decode` reads.

    Returns:
        A uint8 tensor of shape [height, width, channels]. It is rounded, as other image libraries do, so that what is
        kept between epochs takes a quarter of the memory and is the same as what a served model sees.

    Raises:
        tf.errors.InvalidArgumentError: where the bytes are not such an image.
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
    if feature.resize == "bicubic":  # which overshoots the range of its input
        decoded = tf.clip_by_value(decoded, 0, 255)
    if feature.fit in ("pad", "crop_or_pad"):
        decoded = tf.image.pad_to_bounding_box(decoded, top, left, *feature.size)
    rounded = tf.cast(tf.round(decoded), tf.uint8)
    return tf.ensure_shape(rounded, [*feature.size, feature.channels])


def scaled(feature: Pictures, images: tf.Tensor) -> tf.Tensor:
    """Pixels, uint8 [..., height, width, channels], as float32: black at `value_range[0]`, white at `value_range[1]`,
    or each image standardized."""
    if feature.standardize:
        return tf.image.per_image_standardization(images)
    low, high = feature.value_range
    return tf.cast(images, tf.float32) * ((high - low) / 255.0) + low


def decode(feature: Pictures, encoded: tf.Tensor) -> tf.Tensor:
    """One image as the tensor that a module takes: `pixels`, `scaled`."""
    return scaled(feature, pixels(feature, encoded))


def boxes(feature: Pictures, shape: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Boxes in an image, as boxes in what the model sees of it.

    Args:
        feature: Size and fit.
        shape: That of the upright image, int32 [height, width, ...].
        boxes: float32 [n, 4]: top, left, bottom and right, in shares of the image's height and width.

    Returns:
        The same in shares of `size`; what is cut off is below 0 or above 1, as `clipped` takes it.
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
    """The mask of an image, as the mask of what the model sees of it: each pixel is of the class of the nearest one.

    Args:
        feature: Size and fit.
        numbers: uint8 [height, width, 1], of the image's size.
        outside: What is where there is no image.

    Returns:
        uint8 of shape [height, width, 1], of the feature's size.
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
    """Boxes cut off at the edges of the picture.

    Args:
        boxes: float32 [n, 4]: top, left, bottom and right, in shares of the picture.

    Returns:
        The same from 0 to 1, and whether a quarter of the box or more is in the picture, bool [n].
    """
    inside = tf.clip_by_value(boxes, 0.0, 1.0)

    def area(of: tf.Tensor) -> tf.Tensor:
        return (of[:, 2] - of[:, 0]) * (of[:, 3] - of[:, 1])

    return inside, (area(inside) > 0) & (area(inside) >= _ENOUGH * area(boxes))


def _window(feature: Pictures, shape: tf.Tensor) -> tf.Tensor:
    """What is decoded of an image that is cut: top, left, height and width, around the middle, in pixels.

    With `fit: crop` the largest window with the proportions of `size`, else one that is not larger than `size`.

    Args:
        feature: Size and fit.
        shape: That of the image, int32 [height, width, ...].
    """
    height, width = feature.size
    if feature.fit == "crop":  # in integers: floats of an exact fit can come out a pixel short
        height, width = shape[1] * height // width, shape[0] * width // height
    height, width = (tf.clip_by_value(most, 1, here) for most, here in ((height, shape[0]), (width, shape[1])))
    return tf.stack([(shape[0] - height) // 2, (shape[1] - width) // 2, height, width])


def _placed(feature: Pictures, shape: tf.Tensor) -> tf.Tensor:
    """Where what was decoded is in what the model sees: top, left, height and width, in pixels.

    Args:
        feature: Size and fit.
        shape: That of what was decoded, int32 [height, width, ...].
    """
    height, width = feature.size
    if feature.fit == "crop_or_pad":
        return tf.stack([(height - shape[0]) // 2, (width - shape[1]) // 2, shape[0], shape[1]])
    if feature.fit != "pad":
        return tf.constant([0, 0, height, width])
    # As tf.image.resize_with_pad, in integers.
    top = tf.maximum((height * shape[1] - width * shape[0]) // (2 * shape[1]), 0)
    left = tf.maximum((width * shape[0] - height * shape[1]) // (2 * shape[0]), 0)
    inner = tf.stack([shape[0] * width // shape[1], shape[1] * height // shape[0]])
    return tf.concat([[top, left], tf.clip_by_value(inner, 1, feature.size)], axis=0)
