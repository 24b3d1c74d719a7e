"""Hub modules that augment training images: https://www.tensorflow.org/hub/common_signatures/images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import tensorflow as tf

from hubline.core.errors import UserError, library_reason
from hubline.preprocessing.kinds.image import ImageFeature
from hubline.trainer.augment import Module
from hubline.trainer.config.hubs import Hub, Hubs, augmenting_hubs
from hubline.trainer.module import Tensor, as_tensor, output_name, signature_name
from hubline.trainer.module_fit import fitting_function
from hubline.trainer.module_inputs import way
from hubline.trainer.saved_model_loader import LoadedModule, open_module

if TYPE_CHECKING:
    from hubline.preprocessing.config import Features

_SEED = "seed"
"""Input of a module that takes a seed of two integers."""

_GREATEST = 1.5
"""Highest accepted value of a pixel. A sharpening module may exceed 1; a module that exceeds this limit returns pixels
up to 255."""


def modules_by_feature(hubs: Hubs, module_paths: Mapping[str, str], features: Features) -> dict[str, dict[str, Module]]:
    """Opens the modules with `role: augment`.

    Args:
        hubs: All modules of the pipeline file.
        module_paths: The folder of each module.
        features: The features that the modules may augment.

    Returns:
        For each augmented feature, its modules by name in `hubs`.
    """
    found: dict[str, dict[str, Module]] = {}
    for name, hub in augmenting_hubs(hubs).items():
        (feature,) = hub.inputs.values()
        found.setdefault(feature, {})[name] = changing(hub, open_module(module_paths[name]), features)
    return found


def changing(hub: Hub, module: LoadedModule, features: Features) -> Module:
    """Wraps a module as a function of one image, float32 [height, width, channels] in [0, 1], and a seed, int64 [2].

    Raises:
        UserError: if the module doesn't accept such images or returns something else.
    """
    given, shape = _given(hub, module, features), _shape(hub, features)
    return lambda image, seed: tf.ensure_shape(given(image, seed), shape)


def _given(hub: Hub, module: LoadedModule, features: Features) -> Module:
    """The same, without a check of the size of the module's output."""
    (name,) = hub.inputs.values()
    feature = _from_0_to_1(features, name)
    functions = module.offer.functions(hub)
    if any(_SEED in function.inputs for function in functions) and _SEED not in hub.arguments:
        hub = hub.model_copy(update={"arguments": {**hub.arguments, _SEED: (0, 0)}})
    function = fitting_function(module.offer, hub, {name: feature})
    ((taken, _),) = function.feeds(hub).items()
    wanted, output = function.inputs[taken], output_name(function, hub)
    if not _is_of_floats(wanted) and wanted.dtype != "string":
        raise UserError(
            f"the module's input '{taken}' is {wanted}; an augmenting module must take floats from 0 to 1, or files"
        )
    if not _is_of_floats(function.outputs[output]):
        raise UserError(
            f"the module's output '{output}' is {function.outputs[output]}, not images (floats from 0 to 1)"
        )
    tensors = {each: as_tensor(hub.arguments[each], function.inputs[each]) for each in function.inputs if each != taken}
    signature, training = signature_name(module.offer, hub), True if module.can_train else None

    def change(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        given = _file(image) if wanted.dtype == "string" else tf.cast(image, wanted.dtype)
        fed = tensors | {taken: given if way(wanted, feature) == "single" else given[tf.newaxis]}
        if _SEED in tensors:
            fed[_SEED] = tf.cast(seed, tensors[_SEED].dtype)
        changed = tf.cast(module.run(signature, function, fed, training)[output], tf.float32)
        return changed if changed.shape.rank == 3 else changed[0]

    return change


def try_out_changing(hub: Hub, module: LoadedModule, features: Features) -> None:
    """Runs the module on one image.

    Raises:
        UserError: if the call fails, or the result is not an image of the same shape with values in [0, 1].
    """
    change, shape = _given(hub, module, features), _shape(hub, features)
    picture = tf.random.stateless_uniform(shape, [0, 0])
    try:
        changed = tf.function(change)(picture, tf.zeros([2], tf.int64))
    except Exception as error:  # the module's own functions may raise anything
        reason = library_reason(error)
        raise UserError(f"the module cannot change images of shape {shape}: {reason}") from error
    if changed.shape.as_list() != shape:
        raise UserError(
            f"the module returns images of shape {changed.shape.as_list()} from images of shape {shape}; an augmenting "
            "module must keep the size"
        )
    least, greatest = float(tf.reduce_min(changed)), float(tf.reduce_max(changed))
    if least < 1 - _GREATEST or greatest > _GREATEST:
        raise UserError(
            f"the module returns images from {least:g} to {greatest:g}; an augmenting module must return 0 to 1"
        )


def _shape(hub: Hub, features: Features) -> list[int]:
    """Shape of the images that a module augments."""
    (name,) = hub.inputs.values()
    feature = _from_0_to_1(features, name)
    return [*feature.size, feature.channels]


def _from_0_to_1(features: Features, name: str) -> ImageFeature:
    feature = features[name]
    assert isinstance(feature, ImageFeature)  # the pipeline file's validation ensures this
    return feature.model_copy(update={"value_range": (0.0, 1.0), "standardize": None})


def _is_of_floats(tensor: Tensor) -> bool:
    return "float" in tensor.dtype


def _file(image: tf.Tensor) -> tf.Tensor:
    return tf.io.encode_png(tf.saturate_cast(tf.round(image * 255.0), tf.uint8))
