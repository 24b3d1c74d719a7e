"""Checks that a hub module returns one row per example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.config.hubs import Hub
from hubline.trainer.hub_layer import HubLayer, features_of
from hubline.trainer.hub_trial import TEXTS, TrialResult, numbers, numpy_of, pictures, try_outputs
from hubline.trainer.module import is_floating, output_name
from hubline.trainer.module_fit import fitting_function
from hubline.trainer.saved_model_loader import LoadedModule

if TYPE_CHECKING:
    from hubline.preprocessing.config import Features


def try_rows(hub: Hub, module: LoadedModule, features: Features) -> TrialResult:
    """Runs a module on probes, alone and in batches, in the way that later steps will.

    Raises:
        UserError: if a used output doesn't have one row per example.
    """
    backbone = HubLayer(hub, module, features, "tried")
    function = fitting_function(module.offer, hub, features)
    names = hub.outputs or (output_name(function, hub),)
    whole = {fed for name, fed in function.feeds(hub).items() if not is_floating(function.inputs[name].dtype)}
    specs = {
        name: spec
        for feature, kind in features_of(hub, features).items()
        for name, spec in kind.inputs(feature).items()
    }
    probes = {name: _probes(spec, name in whole) for name, spec in specs.items()}

    def ask(numbers: Sequence[int]) -> Mapping[str, np.ndarray]:
        given = backbone({name: tf.constant([some[number] for number in numbers]) for name, some in probes.items()})
        return {name: numpy_of(given[name] if hub.outputs else given) for name in names}

    tried = try_outputs(ask, min(map(len, probes.values())), "batches")
    for name, kind in tried.outputs.items():
        if kind in ("loose", "single"):
            raise UserError(
                f"the module's output '{name}' doesn't have one row per example: the module returned "
                f"{tried.output_shapes[name]}. A head needs [?, n] with one row per example; use another output, "
                "signature or module"
            )
    return tried.model_copy(update={"warnings": (*tried.warnings, *_dependent(tried))})


def _dependent(tried: TrialResult) -> list[str]:
    return [
        f"the module's output '{name}' for an example depends on the other examples in the batch, so training and "
        "serving may see different vectors for the same example"
        for name, kind in tried.outputs.items()
        if kind == "dependent"
    ]


def _probes(spec: tf.TensorSpec, are_whole: bool) -> Sequence[np.ndarray] | Sequence[str]:
    """Images, numbers or texts, depending on the input; integers where a module takes them."""
    if spec.dtype == tf.string:
        return TEXTS
    shape = spec.shape[1:].as_list()
    return numbers(shape[0], are_whole) if spec.dtype.is_floating else pictures(shape)
