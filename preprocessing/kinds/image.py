"""Feature kind `image`: decodes images to pixels, and scales pixels for a module."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from hubline.core.lazy_import import tf
from hubline.preprocessing import encoded_images
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds.encoded import EncodedKind
from hubline.preprocessing.kinds.image_crop import CropBox
from hubline.preprocessing.kinds.image_geometry import placed, window
from hubline.preprocessing.kinds.kind import Values
from hubline.preprocessing.kinds.stored_pixels import Stored


class ImageKind(EncodedKind):
    """Base of kinds with encoded images in a bytes column, decoded to uint8 pixels."""

    size: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]] = Field(
        examples=[[224, 224]]
    )
    """Height and width in pixels that images are resized to."""
    channels: Literal[1, 3] = 3
    """3 for RGB, 1 for greyscale. Other images are converted."""
    central_crop: float | None = Field(default=None, gt=0.0, le=1.0, examples=[0.875])
    """Keep only the middle of each image: this fraction of its height and of its width (`tf.image.central_crop`).
    `fit` then applies to that part, in training and in the served model."""
    crop_box: CropBox | None = Field(default=None, examples=[{"top": 0.25, "left": 0.0, "bottom": 1.0, "right": 1.0}])
    """Keep only this part of each image, in place of `central_crop`."""
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
    def _one_range(self) -> ImageKind:
        if self.standardize is not None and "value_range" in self.model_fields_set:
            raise ValueError("standardize and value_range both set the pixel scaling; remove one")
        return self

    @model_validator(mode="after")
    def _one_part(self) -> ImageKind:
        if self.central_crop is not None and self.crop_box is not None:
            raise ValueError("central_crop and crop_box both choose a part of the image; remove one")
        return self

    @property
    def has_window(self) -> bool:
        """Whether only a part of each image is used."""
        return self.central_crop is not None or self.crop_box is not None or self.fits_by_cropping

    @property
    def fits_by_cropping(self) -> bool:
        """Whether `fit` may cut something off. Images that keep their own size (`task: infer`) are not fitted."""
        return self.size is not None and self.fit in ("crop", "crop_or_pad")

    @property
    def is_whole(self) -> bool:
        """Whether the whole image is stretched to `size`, so that boxes in fractions of the image stay as they are."""
        return (self.size is None or self.fit == "stretch") and not self.has_window


class ImageFeature(ImageKind):
    """An image: an encoded one (JPEG, PNG, GIF or BMP) in a bytes column, or pixels; decoded only where the model needs
    it."""

    kind: Literal["image"]
    decode: Stored | None = Field(
        default=None,
        examples=[
            {"kind": "raw", "shape": [32, 32, 3], "order": ["channels", "height", "width"]},
            {"kind": "numbers", "shape": [28, 28, 1], "range": [-0.5, 0.5]},
        ],
    )
    """How the column holds the pixels: as raw bytes, or as a list of numbers. Default: as an encoded image file."""

    def accepts(self, name: str) -> dict[str, tuple[ColumnType, ...]]:
        return dict.fromkeys(self.reads(name), self.decode.takes if self.decode else self.takes)

    @property
    def takes_lists(self) -> bool:
        return self.decode is not None and self.decode.kind == "numbers"

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.size, self.channels)

    def encoded(self, column: Values) -> tf.Tensor:
        from hubline.preprocessing.columns import one_each

        return self.decode.encoded(column) if self.decode else one_each(column)

    def encoded_one(self, values: Sequence[Any]) -> tf.Tensor:
        return self.encoded(self.decode.column_of(values))[0] if self.decode else super().encoded_one(values)

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        return pixels(self, encoded)


class InferenceImageFeature(ImageFeature):
    """An encoded image for inference. It may keep its own size, which is not possible in training because batches need
    one size."""

    size: tuple[Annotated[int, Field(ge=1, le=8192)], Annotated[int, Field(ge=1, le=8192)]] | None = Field(  # type: ignore[assignment]
        default=None, examples=[[224, 224]]
    )
    """Height and width in pixels that images are resized to. Default: the module's input size. If the module accepts
    any size, each image keeps its own and is predicted on alone."""

    @field_validator("decode")
    @classmethod
    def _is_a_file(cls, decode: Stored | None) -> None:
        if decode is not None:
            raise ValueError("task: infer takes encoded image files; leave decode out")

    @property
    def shape(self) -> tuple[int | None, ...]:  # type: ignore[override]
        """Height, width and channels; height and width are None if they vary."""
        return (*(self.size or (None, None)), self.channels)


def pixels(feature: ImageKind, encoded: tf.Tensor) -> tf.Tensor:
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
    decoded = in_own_size(feature, encoded)
    top, left, *inner = tf.unstack(placed(feature, tf.shape(decoded)))
    if feature.fit != "crop_or_pad":
        decoded = tf.image.resize(decoded, inner, method=feature.resize)
    if feature.resize == "bicubic":  # bicubic overshoots its input range
        decoded = tf.clip_by_value(decoded, 0, 255)
    if feature.fit in ("pad", "crop_or_pad"):
        decoded = tf.image.pad_to_bounding_box(decoded, top, left, *feature.size)
    rounded = tf.cast(tf.round(decoded), tf.uint8)
    return tf.ensure_shape(rounded, [*feature.size, feature.channels])


def in_own_size(feature: ImageKind, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes the part of one image that the feature uses, uint8 [height, width, channels], without resizing it.

    Raises:
        tf.errors.InvalidArgumentError: if the bytes are not an image, or `crop_box` extends beyond it.
    """
    if feature.has_window:
        decoded = encoded_images.decode_window(encoded, partial(window, feature))
    else:
        decoded = encoded_images.decode(encoded)
    return tf.image.rgb_to_grayscale(decoded) if feature.channels == 1 else decoded


def scaled(feature: ImageKind, images: tf.Tensor) -> tf.Tensor:
    """Pixels, uint8 [..., height, width, channels], as float32: scaled from black at `value_range[0]` to white at
    `value_range[1]`, or standardized per image."""
    if feature.standardize:
        return tf.image.per_image_standardization(images)
    low, high = feature.value_range
    return tf.cast(images, tf.float32) * ((high - low) / 255.0) + low


def decode(feature: ImageKind, encoded: tf.Tensor) -> tf.Tensor:
    """Decodes and scales one image for a module."""
    return scaled(feature, pixels(feature, encoded))
