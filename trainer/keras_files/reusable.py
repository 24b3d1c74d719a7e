"""Writes reusable SavedModels (https://www.tensorflow.org/hub/reusable_saved_models)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import tensorflow as tf

from hubline.trainer.adapters.tensorflow import AutoTrackable, rename_variables


@dataclass(frozen=True)
class Source:
    """A model that becomes a module."""

    call: Callable[[Any, bool], Any]
    """Maps inputs and `training` to outputs, a tensor or a dict by name. Inputs have the structure of `inputs`."""
    inputs: tf.TensorSpec | dict[str, tf.TensorSpec]
    variables: Mapping[str, tf.Variable]
    """By the names that the module gives them."""
    trainable: Sequence[tf.Variable]
    regularization_losses: Sequence[Callable[[], tf.Tensor]] = ()
    resources: Sequence[Any] = ()
    """Tables and the like."""
    has_training_mode: bool = True


class _Reusable(AutoTrackable):
    """Callable, with the attributes that TensorFlow Hub's layers read."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.variables = list(source.variables.values())
        self.trainable_variables = list(source.trainable)
        self.regularization_losses = [tf.function(loss, input_signature=[]) for loss in source.regularization_losses]
        self.resources = list(source.resources)
        if source.has_training_mode:
            self.__call__ = tf.function(lambda inputs, training=False: source.call(inputs, training))
            traces = [self.__call__.get_concrete_function(source.inputs, training) for training in (False, True)]
        else:
            self.__call__ = tf.function(lambda inputs: source.call(inputs, False))
            traces = [self.__call__.get_concrete_function(source.inputs)]
        # The states of random generators, which Keras doesn't count among the weights.
        listed = {variable.ref() for variable in self.variables}
        captured = {variable.ref(): variable for trace in traces for variable in trace.graph.variables}
        self.states = [variable for key, variable in captured.items() if key not in listed]


def write_reusable(source: Source, folder: str) -> None:
    """Writes a reusable SavedModel. Its variables have the names in `source`."""
    tf.saved_model.save(_Reusable(source), folder)
    rename_variables(folder, list(source.variables))


def unique(names: Sequence[str]) -> list[str]:
    """Names with numbers after those that are taken: `kernel`, `kernel_1`."""
    found: list[str] = []
    for name in names:
        numbered = (f"{name}_{number}" for number in count(1))
        found.append(name if name not in found else next(each for each in numbered if each not in {*names, *found}))
    return found
