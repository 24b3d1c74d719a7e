"""How the inputs of a hub module take features, and why they may not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.preprocessing.kinds.image import ImageKind
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.preprocessing.kinds.text import TextFeature
from hubline.preprocessing.kinds.video import VideoFeature
from hubline.trainer.config.hubs import Hub
from hubline.trainer.module import Function, Tensor, are_compatible, is_floating, is_number, listed, plain

if TYPE_CHECKING:
    from hubline.preprocessing.config import Feature, Features


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
    assert given.shape is not None
    shape, single = wanted.shape, given.shape[1:]
    if are_compatible(shape, single):
        return "single"
    # TensorFlow considers a fixed batch size compatible with an unknown one, but batches here have any size.
    if not shape or shape[0] not in (None, 1) or not are_compatible(shape[1:], single):
        return None
    return "batch" if shape[0] is None else "batch of one"


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


def input_faults(function: Function, hub: Hub, features: Features) -> list[str]:
    """Why a function cannot be called as `hub` says; empty if it can."""
    feeds = function.feeds(hub)
    said = feeds.keys() | hub.arguments.keys()
    unknown = sorted(feeds.keys() - function.inputs)
    unfed = sorted(function.inputs.keys() - said - function.arguments.keys())
    found: list[str | None] = []
    if unknown or unfed:
        wrong = f"has no input '{unknown[0]}'" if unknown else f"has an input '{unfed[0]}' that no feature feeds"
        found.append(f"the module {wrong}; its inputs are: {listed(function.inputs)}")
    known = {name: fed for name, fed in feeds.items() if name not in unknown}
    found += [_argument_fault(function, name, value, feeds) for name, value in hub.arguments.items()]
    found += [_input_fault(name, function.inputs[name], fed, features[fed]) for name, fed in known.items()]
    return [fault for fault in found if fault] or _frames_faults(function, known, features)


def _takes_frames(wanted: Tensor, given: Tensor) -> bool:
    """Whether an input takes the frames of clips as a batch of images."""
    if wanted.dtype != given.dtype or wanted.shape is None or wanted.shape[:1] != (None,):
        return False
    assert given.shape is not None
    return are_compatible(wanted.shape[1:], given.shape[2:])


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
            f"{_better_shape(wanted, feature) or _better_size(wanted, feature) or _better_length(wanted, feature)}"
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
        return (
            None
            if _becomes(value, wanted)
            else f"the module's input '{name}' takes {wanted}, which {json.dumps(value)} is not"
        )
    if name not in function.arguments:
        known = sorted({*function.arguments, *(function.inputs.keys() - feeds.keys())})
        return f"the module takes no argument '{name}'; it takes: {', '.join(known) or 'none'}"
    traced = function.arguments[name]
    if plain(value) == traced:
        return None
    return f"the module takes {name}: {json.dumps(traced)}, not {json.dumps(plain(value))}: it was traced with that"


def _becomes(value: Any, wanted: Tensor) -> bool:
    """Whether an argument can be a constant tensor of an input, as `as_tensor` makes it. Without TensorFlow, which
    `hubline check` must not import."""
    kinds = "f" if is_floating(wanted.dtype) else {"string": "U", "bool": "b"}.get(wanted.dtype, "i")
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return False
    if array.dtype.kind not in ("fi" if kinds == "f" else kinds) and array.size:
        return False
    if kinds == "i" and array.size:
        bounds = np.iinfo(wanted.dtype)
        if array.min() < bounds.min or array.max() > bounds.max:
            return False
    return are_compatible(wanted.shape, array.shape)


def _given(feature: Feature, wanted: str) -> Tensor:
    """What a feature provides to an input: images as pixels of the wanted dtype or as files, clips likewise per
    frame; sounds as floats of the wanted dtype; numbers as floats, or as integers if they stay whole."""
    if isinstance(feature, NumericFeature):
        fits = is_floating(wanted) or (_is_integer(wanted) and feature.may_be_whole)
        return Tensor(dtype=wanted if fits else "float32", shape=(None, *feature.module_shape))
    if isinstance(feature, AudioFeature):
        return Tensor(dtype=wanted if is_floating(wanted) else "float32", shape=(None, *feature.shape))
    if not isinstance(feature, ImageKind):
        return Tensor(dtype="string", shape=(None,))
    if wanted == "string":
        return Tensor(dtype="string", shape=(None, *feature.shape[:-3]))
    dtype = wanted if is_number(wanted) and wanted != "bool" else "float32"
    return Tensor(dtype=dtype, shape=(None, *feature.shape))


def _is_integer(dtype: str) -> bool:
    """Whether this is a dtype of integers."""
    return is_number(dtype) and not is_floating(dtype) and dtype != "bool"


def _better_shape(wanted: Tensor, feature: Feature) -> str:
    """Suggests the shape or length of a numeric feature that an input needs, as far as its shape tells."""
    if not isinstance(feature, NumericFeature) or not wanted.shape:
        return ""
    if not is_floating(wanted.dtype) and not _is_integer(wanted.dtype):
        return "; numeric features feed inputs of floats and integers"
    if _is_integer(wanted.dtype) and not feature.may_be_whole:
        return "; integers need missing: 0 or another integer, and no normalize"
    inner = tuple(size for size in wanted.shape[1:] if size is not None)
    if len(inner) < max(len(wanted.shape) - 1, 1):
        return ""
    length = math.prod(inner)
    keys = ([f"length: {length}"] if length != feature.length else []) + (
        [f"shape: {[*inner]}"] if len(inner) > 1 else []
    )
    return f"; give the feature {' and '.join(keys)}" if keys else ""


def _better_length(wanted: Tensor, feature: Feature) -> str:
    """Suggests the number of samples that an input needs, as far as its shape tells."""
    if not isinstance(feature, AudioFeature) or not wanted.shape:
        return ""
    if not is_floating(wanted.dtype):
        return "; sounds feed inputs of floats only"
    fits_otherwise = len(wanted.shape) == 1 or (len(wanted.shape) == 2 and wanted.shape[0] in (None, 1))
    return f"; give the feature samples: {wanted.shape[-1]}" if fits_otherwise and wanted.shape[-1] else ""


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
