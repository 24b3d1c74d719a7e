"""Binds columns to a hub module's inputs: which function is called, and what each of its inputs receives."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import tensorflow as tf

from hubline.core.errors import UserError
from hubline.preprocessing.analysis import BeamAnalyzer
from hubline.preprocessing.columns import as_parsed, present
from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.preprocessing.kinds.image import InferenceImageFeature, in_own_size, scaled
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.preprocessing.kinds.video import VideoFeature
from hubline.preprocessing.transform import transformed
from hubline.trainer.config.hubs import Hub
from hubline.trainer.inputs import pixels_of_batch
from hubline.trainer.module import Function, Module, Tensor, as_tensor, is_number
from hubline.trainer.module_fit import fitting_function
from hubline.trainer.module_inputs import frames_each

if TYPE_CHECKING:
    from hubline.preprocessing.config import Features

IMAGE, CLIP, TEXT = "image", "frames", "text"
"""Default columns of a module used without a pipeline file."""


@dataclass(frozen=True)
class InputBinding:
    """Binds a column of images, clips, sounds, numbers or texts to an input."""

    takes: Tensor
    column: str
    image: InferenceImageFeature | VideoFeature | None = None
    """How to decode images and clips; None for other columns."""
    values: AudioFeature | NumericFeature | None = None
    """How to make numbers of sounds and of columns of numbers; None for other columns."""
    is_whole: bool = False
    """Whether every record must hold all numbers of `values`, so that none is filled in."""

    @property
    def is_text(self) -> bool:
        return self.takes.dtype == "string"

    @property
    def is_of_numbers(self) -> bool:
        """Whether the column holds numbers."""
        return isinstance(self.values, NumericFeature)

    @property
    def is_clip(self) -> bool:
        """Whether the column holds clips, each a list of frames."""
        return isinstance(self.image, VideoFeature)

    @property
    def column_spec(self) -> tf.TensorSpec:
        """Spec of `fed`'s argument: string [batch], or [batch, n] for clips, with shorter ones padded with empty
        strings; for numbers float32 [batch, n], padded with NaN; `fed` also takes int64, padded with
        its smallest number."""
        if self.is_of_numbers:
            return tf.TensorSpec([None, None], tf.float32)
        return tf.TensorSpec([None, None] if self.is_clip else [None], tf.string)

    @property
    def has_batch(self) -> bool:
        """Whether the input has a batch dimension."""
        shape_of_values = () if self.values is None else shape_of_numbers(self.values)
        of_one = 0 if self.is_text else len(shape_of_values) if self.values else 4 if self.is_clip else 3
        return self.takes.shape is None or len(self.takes.shape) != of_one

    @property
    def takes_one(self) -> bool:
        """Whether items are passed one at a time: without a batch dimension, in batches of one, or as images of
        different sizes."""
        keeps_size = self.image is not None and self.image.size is None and not self.is_text
        return keeps_size or not self.has_batch or self.is_batch_of_one

    @property
    def is_batch_of_one(self) -> bool:
        """Whether the batch dimension is fixed to 1."""
        return self.has_batch and (self.takes.shape or ())[:1] == (1,)

    def fed(self, given: tf.Tensor) -> tf.Tensor:
        """Converts encoded images, frames, sounds, numbers or texts to the module's input.

        Args:
            given: As `column_spec`.

        Raises:
            tf.errors.InvalidArgumentError: if an image does not decode.
        """
        if isinstance(self.values, AudioFeature):
            sound = tf.TensorSpec(self.values.shape, tf.float32)
            values = tf.cast(tf.map_fn(self.values.decoded, given, fn_output_signature=sound), self.takes.dtype)
        elif self.values is not None:
            column = present(as_parsed(tf.io.VarLenFeature(given.dtype), given))
            if self.is_whole:
                column = _whole(self.column, column, self.values.length)
            made = transformed({self.column: self.values}, {self.column: column}, BeamAnalyzer())
            values = self.values.as_module_input(made[self.column], self.takes.dtype)
        else:
            values = given if self.image is None or self.is_text else self._pixels(self.image, given)
        return values if self.has_batch else values[0]

    def _pixels(self, image: InferenceImageFeature | VideoFeature, encoded: tf.Tensor) -> tf.Tensor:
        if image.size is not None:
            pixels = pixels_of_batch({IMAGE: image}, {IMAGE: image.encoded(encoded)})[IMAGE]
        else:
            own = tf.TensorSpec([None, None, image.channels], tf.uint8)
            pixels = tf.map_fn(partial(in_own_size, image), encoded, fn_output_signature=own)
        dtype = tf.as_dtype(self.takes.dtype)
        return tf.cast(scaled(image, pixels) if dtype.is_floating else pixels, dtype)


@dataclass(frozen=True)
class LatentInput:
    """A generator's input: a random vector."""

    takes: Tensor
    input: str

    @property
    def is_batch_of_one(self) -> bool:
        """Whether the module takes one vector at a time."""
        return (self.takes.shape or ())[:1] == (1,)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one vector."""
        return tuple(size for size in (self.takes.shape or ())[1:] if size is not None)


@dataclass(frozen=True)
class BoundFunction:
    """A module's function, and what each of its inputs receives."""

    function: Function
    feeds: Mapping[str, InputBinding]
    """By input; empty for a generator."""
    given: Mapping[str, tf.Tensor] = field(default_factory=dict)
    """Values of other inputs, from `arguments`."""
    latent: LatentInput | None = None

    @property
    def takes(self) -> str:
        """The inputs, in words."""
        return listed(self.function.inputs)


def listed(tensors: Mapping[str, Tensor]) -> str:
    """Formats tensors for a message."""
    return ", ".join(f"{name} {tensor}" for name, tensor in sorted(tensors.items())) or "nothing"


def call_with(module: Module, hub: Hub, features: Features) -> BoundFunction:
    """Binds features to a module's inputs.

    Raises:
        UserError: if the features don't fit, or the module is a generator.
    """
    functions = module.functions(hub)
    takes_numbers = any(isinstance(features[fed], AudioFeature | NumericFeature) for fed in hub.inputs.values())
    if not takes_numbers and all(any(_is_vector(each, name) for name in _open_inputs(each, hub)) for each in functions):
        raise UserError(
            f"the module takes {listed(functions[0].inputs)}: a vector of numbers, as generators do. task: infer "
            f"supports numbers that a column holds; run a generator with "
            f"hubline predict --hub {shlex.quote(hub.handle)} --latent N"
        )
    function = fitting_function(module, hub, features)
    if frames_each(function, hub, features) is not None:
        raise UserError(
            f"the module takes {listed(function.inputs)}, single images, but a clip is one input; feed the module "
            "images of kind: image"
        )
    feeds = {}
    for name, feature_name in function.feeds(hub).items():
        feature = features[feature_name]
        column = feature.column or feature_name
        takes = function.inputs[name]
        image = feature if isinstance(feature, InferenceImageFeature | VideoFeature) else None
        if image is not None and takes.dtype == "string" and (image.central_crop or image.crop_box):
            key = "central_crop" if image.central_crop else "crop_box"
            raise UserError(
                f"the module's input '{name}' takes whole image files and decodes them itself; leave {key} out of "
                f"'{feature_name}'"
            )
        if image is not None and image.size is None:
            image = image.model_copy(update={"size": _size(takes, "give the feature a size")})
        values = feature if isinstance(feature, AudioFeature | NumericFeature) else None
        feeds[name] = InputBinding(takes, column, image, values)
    tensors = function.inputs.keys() & hub.arguments.keys()
    return BoundFunction(
        function, feeds, {name: as_tensor(hub.arguments[name], function.inputs[name]) for name in tensors}
    )


def call_alone(
    module: Module, hub: Hub, size: tuple[int, int] | None, column: str | None, value_range: tuple[float, float]
) -> BoundFunction:
    """Binds the single input of a module that is used without a pipeline file.

    Args:
        module: The module's signatures.
        hub: Names the signature to call, if any.
        size: Height and width of images; None for those that the module requires, or else each image's own.
        column: The column to use; None for `IMAGE`, `CLIP` or `TEXT`. With a column, a vector is read from it; without
            one, it is a latent vector.
        value_range: Values of black and white for a module that takes floats.

    Raises:
        UserError: if the module has several inputs, or its input is neither image, clip, text nor vector.
    """
    functions = module.functions(hub)
    single = [function for function in functions if len(_open_inputs(function, hub)) == 1]
    if not single:
        raise UserError(
            f"the module takes {listed(functions[0].inputs)}; without a pipeline file, a module must have one input; "
            "several need "
            "a pipeline file with task: infer"
        )
    function = single[0]
    (name,) = _open_inputs(function, hub)
    takes = function.inputs[name]
    rank = None if takes.shape is None else len(takes.shape)
    if takes.dtype == "string" and rank in (None, 0, 1):
        return BoundFunction(function, {name: InputBinding(takes, column or TEXT)})
    if is_number(takes.dtype) and rank in (None, 3, 4):
        return BoundFunction(function, {name: InputBinding(takes, column or IMAGE, _image(takes, size, value_range))})
    if is_number(takes.dtype) and rank == 5:
        return BoundFunction(function, {name: InputBinding(takes, column or CLIP, _clip(takes, size, value_range))})
    length = (takes.shape or (None,))[-1]
    if column is not None and rank == 2 and length is not None and is_number(takes.dtype) and takes.dtype != "bool":
        numbers = NumericFeature(kind="numeric", length=length, missing=0)
        return BoundFunction(function, {name: InputBinding(takes, column, values=numbers, is_whole=True)})
    if _is_vector(function, name):
        return BoundFunction(function, {}, latent=LatentInput(takes, name))
    raise UserError(f"the module takes {listed(function.inputs)}; supported are images, clips, texts and vectors")


def shape_of_numbers(feature: AudioFeature | NumericFeature) -> tuple[int, ...]:
    """Shape of one example's numbers as a module takes them."""
    return feature.shape if isinstance(feature, AudioFeature) else feature.module_shape


def _open_inputs(function: Function, hub: Hub) -> set[str]:
    """Inputs that have no default and no argument."""
    return function.inputs.keys() - function.arguments.keys() - hub.arguments.keys()


def _is_vector(function: Function, name: str) -> bool:
    """Whether an input is one float vector of fixed length per item."""
    takes = function.inputs[name]
    has_length = takes.shape is not None and len(takes.shape) == 2 and takes.shape[1] is not None
    return has_length and is_number(takes.dtype) and tf.as_dtype(takes.dtype).is_floating


def _image(takes: Tensor, size: tuple[int, int] | None, value_range: tuple[float, float]) -> InferenceImageFeature:
    shape = takes.shape or (None, None, None)
    if size is not None and any(own not in (None, wanted) for own, wanted in zip(shape[-3:-1], size, strict=True)):
        raise UserError(f"the module takes images {takes}, but the size is {size[0]}, {size[1]}")
    channels = 1 if shape[-1] == 1 else 3
    size = size or _size(takes, "give a size, by --image-size H,W")
    return InferenceImageFeature(kind="image", size=size, channels=channels, value_range=value_range)


def _size(takes: Tensor, mend: str) -> tuple[int, int] | None:
    """Height and width that an input requires; None if both may vary.

    Raises:
        UserError: if only one of them is fixed; the message suggests a fix.
    """
    height, width = (None, None) if takes.shape is None or len(takes.shape) < 3 else takes.shape[-3:-1]
    if height is not None and width is not None:
        return height, width
    if height is not None or width is not None:
        raise UserError(f"the module takes images {takes}, which fixes only the height or the width; {mend}")
    return None


def _clip(takes: Tensor, size: tuple[int, int] | None, value_range: tuple[float, float]) -> VideoFeature:
    """Clips with the number of frames that the module requires, and with its size or the given one."""
    image, frames = _image(takes, size, value_range), takes.shape[1] if takes.shape else None
    if image.size is None or frames is None:
        raise UserError(
            f"the module takes clips {takes}, which doesn't fix the number and size of frames; use a pipeline file "
            "with task: infer"
        )
    return VideoFeature.model_validate(
        image.model_dump(by_alias=True, exclude={"decode"}) | {"kind": "video", "frames": frames}
    )


def _whole(name: str, column: tf.SparseTensor, length: int) -> tf.SparseTensor:
    """A column of numbers, if each record has `length` of them."""
    counts = tf.math.bincount(
        tf.cast(column.indices[:, 0], tf.int32), minlength=tf.cast(column.dense_shape[0], tf.int32)
    )
    fault = f"the column '{name}' must have {length} finite numbers; it has"
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(counts == length), [fault, counts])]):
        return tf.sparse.map_values(tf.identity, column)


def columns(feeds: Iterable[InputBinding]) -> list[str]:
    """The columns bound to inputs, without duplicates."""
    return list(dict.fromkeys(feed.column for feed in feeds))
