"""Kind `image`: from encoded bytes to pixels, and from pixels to the tensor that a module takes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from preprocessing.kinds.kind import ColumnType, Kind, Read, Values
from preprocessing.lazy import tf


class Pictures(Kind):
    """A kind of encoded images in a bytes column, decoded only where the model needs pixels."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("bytes",)

    size: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]] = Field(
        examples=[[224, 224]]
    )
    """Height and width in pixels that the image is resized to."""
    channels: Literal[1, 3] = 3
    """3 for RGB, 1 for grey; an image of the other sort is converted."""
    fit: Literal["stretch", "crop"] = "stretch"
    """Whether an image of other proportions is stretched, or cut to the middle."""
    resize: Literal["bilinear", "nearest", "bicubic", "area"] = "bilinear"
    """How pixels are interpolated."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """What black and white become. Image modules of TensorFlow Hub take [0, 1] by convention."""

    @field_validator("value_range")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError(
                f"the first value must be the smaller one, such as [0, 1]; got [{value[0]:g}, {value[1]:g}]"
            )
        return value

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
        from preprocessing.columns import one_each

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
    """Decodes and resizes one image.

    Args:
        feature: Size, channels, fit and interpolation.
        encoded: A scalar string: a JPEG, PNG, GIF (its first frame) or BMP.

    Returns:
        A uint8 tensor of shape [height, width, channels]. It is rounded, as other image libraries do, so that what is
        kept between epochs takes a quarter of the memory and is the same as what a served model sees.

    Raises:
        tf.errors.InvalidArgumentError: where the bytes are not such an image.
    """
    height, width = feature.size
    decoded = _decode_centre(feature, encoded) if feature.fit == "crop" else _decode(encoded)
    if feature.channels == 1:
        decoded = tf.image.rgb_to_grayscale(decoded)
    resized = tf.image.resize(decoded, [height, width], method=feature.resize)
    if feature.resize == "bicubic":  # which overshoots the range of its input
        resized = tf.clip_by_value(resized, 0.0, 255.0)
    rounded = tf.cast(tf.round(resized), tf.uint8)
    return tf.ensure_shape(rounded, [height, width, feature.channels])


def scaled(feature: Pictures, images: tf.Tensor) -> tf.Tensor:
    """Pixels, uint8 of any shape, as float32: black at `value_range[0]`, white at `value_range[1]`."""
    low, high = feature.value_range
    return tf.cast(images, tf.float32) * ((high - low) / 255.0) + low


def decode(feature: Pictures, encoded: tf.Tensor) -> tf.Tensor:
    """One image as the tensor that a module takes: `pixels`, `scaled`."""
    return scaled(feature, pixels(feature, encoded))


def _decode(encoded: tf.Tensor) -> tf.Tensor:
    # Always as RGB: TensorFlow turns only JPEG and PNG to grey by itself.
    return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _decode_centre(feature: Pictures, encoded: tf.Tensor) -> tf.Tensor:
    """The largest window in the middle with the proportions of `size`; of a JPEG nothing else is decoded."""

    def of_jpeg() -> tf.Tensor:
        shape = tf.io.extract_jpeg_shape(encoded)
        return tf.io.decode_and_crop_jpeg(encoded, _centre(feature, shape), channels=3)

    def of_another() -> tf.Tensor:
        whole = _decode(encoded)
        top, left, height, width = tf.unstack(_centre(feature, tf.shape(whole)))
        return whole[top : top + height, left : left + width]

    return tf.cond(tf.io.is_jpeg(encoded), of_jpeg, of_another)


def _centre(feature: Pictures, shape: tf.Tensor) -> tf.Tensor:
    """Top, left, height and width of that window in an image of a shape [height, width, ...], in pixels."""
    # In integers: floats of an exact fit can come out a pixel short.
    height = tf.minimum(shape[0], shape[1] * feature.size[0] // feature.size[1])
    width = tf.minimum(shape[1], shape[0] * feature.size[1] // feature.size[0])
    height, width = tf.maximum(height, 1), tf.maximum(width, 1)
    return tf.stack([(shape[0] - height) // 2, (shape[1] - width) // 2, height, width])
