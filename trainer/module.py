"""The interface of a TensorFlow Hub module, and whether the module fits its inputs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import tensorflow as tf
from pydantic import Field

from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.preprocessing.kinds.image import ImageKind
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.preprocessing.kinds.text import TextFeature
from hubline.preprocessing.kinds.video import VideoFeature
from hubline.trainer.config.hubs import Hub
from hubline.trainer.saved_model import Variable, usual_signature

if TYPE_CHECKING:
    from hubline.preprocessing.config import Feature, Features


class Tensor(Section):
    """Dtype and shape of a tensor. None is a dimension of any size; no shape at all means unknown rank."""

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """For example `float32[?, 224, 224, 3]`."""
        if self.shape is None:
            return f"{self.dtype}[...]"
        return f"{self.dtype}[{', '.join('?' if size is None else str(size) for size in self.shape)}]"


class Function(Section):
    """A callable of a module, with inputs and outputs by name."""

    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]
    arguments: dict[str, Any] = {}
    """Default arguments: the values it was traced with, and defaults of inputs."""

    def feeds(self, hub: Hub) -> dict[str, str]:
        """The feature that feeds each input, according to `hub`. A single input may have any name there."""
        open_ = self.inputs.keys() - self.arguments.keys() - hub.arguments.keys()
        if len(hub.inputs) == len(open_) == 1:
            return dict(zip(open_, hub.inputs.values(), strict=True))
        return dict(hub.inputs)


class Module(Section):
    """The interface of a module."""

    format: Literal["TF1", "TF2"]
    tags: tuple[str, ...] | None = None
    """Tags of the meta graph to load; None for a TF2 SavedModel, which has one."""
    calls: tuple[Function, ...] = ()
    """Traces of the module itself, if it is callable (a TF2 reusable SavedModel). Traces with default arguments come
    first."""
    signatures: dict[str, Function] = Field(default_factory=dict)
    variables: tuple[Variable, ...] = ()

    def functions(self, hub: Hub) -> tuple[Function, ...]:
        """The callables that `hub` selects: the named signature, the module itself, or the only signature.

        Raises:
            UserError: if the module has no such callable.
        """
        name = signature_name(self, hub)
        if name is None and self.calls:
            return self.calls
        if name not in self.signatures:
            offered = ", ".join(sorted(self.signatures)) or "none"
            wanted = f"no signature '{name}'" if name else "nothing to call and several signatures"
            raise UserError(f"the module has {wanted}; its signatures are: {offered}")
        return (self.signatures[name],)

    def function(self, hub: Hub, features: Features) -> Function:
        """The callable that `hub` selects. Of several traces, the first that fits, preferring one that has the output.

        Raises:
            UserError: if none fits, with the reasons for the closest one.
        """
        functions = self.functions(hub)
        faults = {number: _faults(function, hub, features) for number, function in enumerate(functions)}
        fitting = [functions[number] for number, found in faults.items() if not found]
        if not fitting:
            nearest = min(faults, key=lambda number: len(faults[number]))
            others = dict.fromkeys(_listed(function.inputs) for function in functions)
            others.pop(_listed(functions[nearest].inputs))
            raise UserError("; ".join(faults[nearest]) + (f"; it also takes {'; '.join(others)}" if others else ""))
        return next((function for function in fitting if _has_output(function, hub)), fitting[0])


def signature_name(module: Module, hub: Hub) -> str | None:
    """The signature that `hub` selects; None for the module itself."""
    if hub.signature or module.calls:
        return hub.signature
    return usual_signature(module.signatures)


def output_name(function: Function, hub: Hub) -> str:
    """The name of the output that `hub` selects.

    Raises:
        UserError: if the function has no such output.
    """
    if not _has_output(function, hub):
        outputs = ", ".join(sorted(function.outputs))
        raise UserError(f"the module has no output '{hub.output}'; its outputs are: {outputs}")
    return hub.output if hub.output in function.outputs else next(iter(function.outputs))


def _has_output(function: Function, hub: Hub) -> bool:
    if hub.outputs:
        return set(hub.outputs) <= function.outputs.keys()
    return hub.output in function.outputs or (hub.output == "default" and len(function.outputs) == 1)


def check_fits(module: Module, hub: Hub, features: Features) -> None:
    """Checks that a module can be fed from the features and that its output suits a head.

    Raises:
        UserError: if a signature, input or output is missing, or a shape or dtype doesn't fit.
    """
    function = module.function(hub, features)
    if hub.outputs:
        maps_of(function, hub, features)
    else:
        shape_of_one(function, hub, features)


def maps_of(function: Function, hub: Hub, features: Features) -> dict[str, tuple[int | None, ...]]:
    """Height, width and channels of each feature map in `outputs`, as far as they are known.

    Raises:
        UserError: if an output is not a feature map.
    """
    missing = [name for name in hub.outputs if name not in function.outputs]
    if missing:
        raise UserError(f"the module has no output '{missing[0]}'; its outputs are: {_listed(function.outputs)}")
    if takes_one(function, hub, features):
        raise UserError("the module takes one image at a time; a label of pixels needs batches")
    found: dict[str, tuple[int | None, ...]] = {}
    for name in hub.outputs:
        output = function.outputs[name]
        if not is_number(output.dtype) or (output.shape is not None and len(output.shape) != 4):
            raise UserError(
                f"the module's output '{name}' is {output}, but a label of pixels needs feature maps, [?, height, "
                f"width, channels]; the outputs are: {_listed(function.outputs)}"
            )
        found[name] = (None, None, None) if output.shape is None else output.shape[1:]
    return found


def shape_of_one(function: Function, hub: Hub, features: Features) -> tuple[int, ...] | None:
    """Shape of a function's output per example: [n], or [steps, n] for a sequence layer; None if unknown.

    If the function runs on each frame of a clip separately, the frames are the steps.

    Raises:
        UserError: if the output has another shape.
    """
    name = output_name(function, hub)
    output = function.outputs[name]
    if not is_number(output.dtype):
        raise UserError(
            f"the module's output '{name}' is {output}, but a head needs numbers; the outputs are: "
            f"{_listed(function.outputs)}"
        )
    frames = frames_each(function, hub, features)
    if output.shape is None and (hub.pool is not None or frames is not None):
        raise UserError(f"the module does not say what shape its output '{name}' has, so it cannot be pooled")
    if output.shape is None:
        return None
    inner = _of_one(output.shape, takes_one(function, hub, features), hub.pool is not None)
    if inner is not None and frames is not None:
        inner = frames, *inner
    if inner is None or (len(inner) > 0 and inner[-1] is None):
        raise UserError(
            f"the module's output '{name}' is {output}, but a head needs a vector of numbers for each example, [?, n]; "
            f"the outputs are: {_listed(function.outputs)}"
        )
    if len(inner) > 1 and hub.pool is None:
        raise UserError(
            f"the module's output '{name}' is {output}: {' x '.join(map(_size, inner[:-1]))} vectors for each example, "
            f"{'where each frame is run by itself, and a head' if frames is not None else 'where a head'} needs one; "
            f"say `pool: mean` or `pool: max`, or use another of the outputs: {_listed(function.outputs)}"
        )
    if len(inner) < 2 and hub.pool is not None:
        raise UserError(f"the module's output '{name}' is {output}: there is nothing to pool; remove `pool`")
    numbers = 1 if not inner else inner[-1]
    assert numbers is not None  # checked above
    if hub.pool is None or isinstance(hub.pool, str):
        return (numbers,)
    steps = math.prod(inner[:-1]) if None not in inner else hub.pool.max_length  # type: ignore[arg-type]
    return min(steps, hub.pool.max_length), numbers


def _of_one(shape: tuple[int | None, ...], takes_one: bool, is_pooled: bool) -> tuple[int | None, ...] | None:
    """The shape of one example within an output's shape; None if examples cannot be told apart."""
    if not takes_one:
        return shape[1:] if shape else None
    # A first dimension of any size may be the batch, or the number of objects detected in an image.
    has_batch = len(shape) > 1 and shape[0] in (1, None)
    return shape[1:] if has_batch and not is_pooled else shape


def takes_one(function: Function, hub: Hub, features: Features) -> bool:
    """Whether a function takes one example at a time, as a batch of one or without a batch dimension."""
    return any(
        way(function.inputs[name], features[feature]) in ("batch of one", "single")
        for name, feature in function.feeds(hub).items()
    )


def frames_each(function: Function, hub: Hub, features: Features) -> int | None:
    """Frames per clip if the function runs on each frame separately; otherwise None."""
    for name, fed in function.feeds(hub).items():
        feature = features[fed]
        if isinstance(feature, VideoFeature) and way(function.inputs[name], feature) == "frames":
            return feature.frames
    return None


Way = Literal["batch", "batch of one", "single", "frames", "words", "word counts"]


def way(wanted: Tensor, feature: Feature) -> Way | None:
    """How an input takes a feature: in batches of any size, in batches of one, or without a batch dimension; for a
    clip, possibly frame by frame in batches of any size; for texts, possibly their words, string [batch, words], or the
    number of words, integer [batch]. None if it doesn't fit."""
    given = _given(feature, wanted.dtype)
    if isinstance(feature, TextFeature) and wanted.shape == (None, None) and wanted.dtype == "string":
        return "words"
    if isinstance(feature, TextFeature) and wanted.shape == (None,) and wanted.dtype in ("int32", "int64"):
        return "word counts"
    if isinstance(feature, VideoFeature) and _takes_frames(wanted, given):
        return "frames"
    if wanted.dtype != given.dtype:
        return None
    if wanted.shape is None:
        return "batch"
    shape, single = tf.TensorShape(wanted.shape), tf.TensorShape(given.shape)[1:]
    if shape.is_compatible_with(single):
        return "single"
    # TensorFlow considers a fixed batch size compatible with an unknown one, but batches here have any size.
    if not shape or shape[0] not in (None, 1) or not shape[1:].is_compatible_with(single):
        return None
    return "batch" if shape[0] is None else "batch of one"


def _takes_frames(wanted: Tensor, given: Tensor) -> bool:
    """Whether an input takes the frames of clips as a batch of images."""
    if wanted.dtype != given.dtype or wanted.shape is None or wanted.shape[:1] != (None,):
        return False
    assert given.shape is not None
    return tf.TensorShape(wanted.shape[1:]).is_compatible_with(given.shape[2:])


def _faults(function: Function, hub: Hub, features: Features) -> list[str]:
    """Why a function cannot be called as `hub` says; empty if it can."""
    feeds = function.feeds(hub)
    said = feeds.keys() | hub.arguments.keys()
    unknown = sorted(feeds.keys() - function.inputs)
    unfed = sorted(function.inputs.keys() - said - function.arguments.keys())
    found: list[str | None] = []
    if unknown or unfed:
        wrong = f"has no input '{unknown[0]}'" if unknown else f"has an input '{unfed[0]}' that no feature feeds"
        found.append(f"the module {wrong}; its inputs are: {_listed(function.inputs)}")
    known = {name: fed for name, fed in feeds.items() if name not in unknown}
    found += [_argument_fault(function, name, value, feeds) for name, value in hub.arguments.items()]
    found += [_input_fault(name, function.inputs[name], fed, features[fed]) for name, fed in known.items()]
    return [fault for fault in found if fault] or _frames_faults(function, known, features)


def _frames_faults(function: Function, feeds: Mapping[str, str], features: Features) -> list[str]:
    """What prevents inputs from running frame by frame, if one of them must."""
    ways = {name: way(function.inputs[name], features[fed]) for name, fed in feeds.items()}
    counts = {clip.frames for fed in feeds.values() if isinstance(clip := features[fed], VideoFeature)}
    alone = next((name for name in feeds if ways[name] == "frames"), None)
    if alone is None or (set(ways.values()) == {"frames"} and len(counts) == 1):
        return []
    return [
        f"the module's input '{alone}' takes {function.inputs[alone]}, so that it is run on each frame of "
        f"'{feeds[alone]}' by itself, and then every input must be fed clips of as many frames"
    ]


def _input_fault(name: str, wanted: Tensor, feature_name: str, feature: Feature) -> str | None:
    """Why a feature cannot feed an input, or None."""
    if way(wanted, feature) is None:
        given = _given(feature, wanted.dtype)
        return (
            f"the module's input '{name}' takes {wanted}, but the feature '{feature_name}' gives {given}"
            f"{_better_shape(wanted, feature) or _better_size(wanted, feature)}"
        )
    if isinstance(feature, ImageKind) and feature.standardize and "float" not in wanted.dtype:
        what = "image files" if wanted.dtype == "string" else f"{wanted.dtype}, pixels from 0 to 255"
        return f"the module's input '{name}' takes {what}; leave standardize out of '{feature_name}'"
    if "int" in wanted.dtype and isinstance(feature, ImageKind) and feature.value_range not in ((0, 1), (0, 255)):
        return f"the module's input '{name}' takes {wanted.dtype}, pixels from 0 to 255; leave value_range out"
    return None


def _argument_fault(function: Function, name: str, value: Any, feeds: Mapping[str, str]) -> str | None:
    """What is wrong with an argument, or None."""
    if name in feeds:
        return f"the module's input '{name}' is fed a feature and given in `arguments`; leave one out"
    if name in function.inputs:
        wanted = function.inputs[name]
        try:
            fits = tf.TensorShape(wanted.shape).is_compatible_with(as_tensor(value, wanted).shape)
        except (TypeError, ValueError):
            fits = False
        return None if fits else f"the module's input '{name}' takes {wanted}, which {json.dumps(value)} is not"
    if name not in function.arguments:
        known = sorted({*function.arguments, *(function.inputs.keys() - feeds.keys())})
        return f"the module takes no argument '{name}'; it takes: {', '.join(known) or 'none'}"
    traced = function.arguments[name]
    if plain(value) == traced:
        return None
    return f"the module takes {name}: {json.dumps(traced)}, not {json.dumps(plain(value))}: it was traced with that"


def as_tensor(value: Any, wanted: Tensor) -> tf.Tensor:
    """An argument as a tensor with the dtype of the input.

    Raises:
        TypeError, ValueError: if the value has another type.
    """
    return tf.constant(value, tf.as_dtype(wanted.dtype))


def _given(feature: Feature, wanted: str) -> Tensor:
    """What a feature provides to an input: images as pixels of the wanted dtype or as files, clips likewise per
    frame; numbers as floats of the wanted dtype."""
    if isinstance(feature, NumericFeature):
        is_floating = is_number(wanted) and tf.as_dtype(wanted).is_floating
        return Tensor(dtype=wanted if is_floating else "float32", shape=(None, *feature.module_shape))
    if not isinstance(feature, ImageKind):
        return Tensor(dtype="string", shape=(None,))
    if wanted == "string":
        return Tensor(dtype="string", shape=(None, *feature.shape[:-3]))
    dtype = wanted if is_number(wanted) and wanted != "bool" else "float32"
    return Tensor(dtype=dtype, shape=(None, *feature.shape))


def is_number(dtype: str) -> bool:
    """Whether this is a numeric dtype, including bool, of a dense tensor."""
    try:
        known = tf.as_dtype(dtype)
    except TypeError:  # such as the type of a ragged tensor
        return False
    return known.is_floating or known.is_integer or known.is_bool


def _better_shape(wanted: Tensor, feature: Feature) -> str:
    """Suggests the shape or length of a numeric feature that an input needs, as far as its shape tells."""
    if not isinstance(feature, NumericFeature) or not wanted.shape:
        return ""
    if not is_number(wanted.dtype) or not tf.as_dtype(wanted.dtype).is_floating:
        return "; numeric features feed inputs of floats only"
    inner = tuple(size for size in wanted.shape[1:] if size is not None)
    if len(inner) < max(len(wanted.shape) - 1, 1):
        return ""
    length = math.prod(inner)
    keys = ([f"length: {length}"] if length != feature.length else []) + (
        [f"shape: {[*inner]}"] if len(inner) > 1 else []
    )
    return f"; give the feature {' and '.join(keys)}" if keys else ""


def _better_size(wanted: Tensor, feature: Feature) -> str:
    """Suggests the size of image or clip that an input needs, as far as its shape tells."""
    shape, is_clip = wanted.shape, isinstance(feature, VideoFeature)
    if not isinstance(feature, ImageKind) or not is_number(wanted.dtype) or not shape or shape[-1] not in (1, 3):
        return ""
    has_batch = shape[0] in (None, 1)
    takes_clips = (len(shape) == 5 and has_batch) or (len(shape) == 4 and is_clip and not has_batch)
    if not takes_clips and not ((len(shape) == 4 and has_batch) or len(shape) == 3):
        return ""
    if is_clip and not takes_clips and shape[0] is not None:
        return "; it takes one image at a time, and no clips"
    keys = [f"frames: {shape[-4]}"] if takes_clips and shape[-4] is not None else []
    keys += [f"size: [{shape[-3]}, {shape[-2]}]"] if None not in shape[-3:-1] else []
    listed = " and ".join(filter(None, [", ".join(keys), f"channels: {shape[-1]}"]))
    return f"; give the feature {'kind: video, ' if takes_clips and not is_clip else ''}{listed}"


def _size(size: int | None) -> str:
    return "?" if size is None else str(size)


def _listed(tensors: Mapping[str, Tensor]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in sorted(tensors.items())) or "none"


def plain(value: Any) -> Any:
    """An argument in JSON types, so that lists and tuples compare equal."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
