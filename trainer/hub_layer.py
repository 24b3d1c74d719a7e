"""The Keras layer of a TensorFlow Hub module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tensorflow_hub as tf_hub

from hubline.core.errors import UserError, library_reason
from hubline.preprocessing.feature_columns import images
from hubline.preprocessing.sequence_layers import combined
from hubline.trainer.autograph import leave_libraries_alone
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.decoder import levels
from hubline.trainer.hub_callable import HubCallable
from hubline.trainer.inputs import Tensors
from hubline.trainer.saved_model_loader import LoadedModule
from hubline.trainer.standardize import Standardization

if TYPE_CHECKING:
    from hubline.preprocessing.config import Features

# Must run before any Keras call: to try out a module, to train, in a test.
leave_libraries_alone()


def features_of(hub: Hub, features: Features) -> Features:
    """The features that feed a module."""
    return {name: features[name] for name in sorted(set(hub.inputs.values()))}


class HubLayer(tf.keras.layers.Layer):
    """A hub module, fed from the features by name; returns float32 vectors [batch, n], or feature maps by output,
    float32 [batch, height, width, channels]."""

    def __init__(
        self, hub: Hub, module: LoadedModule, features: Features, name: str, tuned: VariableSelection | None = None
    ) -> None:
        """Wraps a module in a layer.

        Args:
            hub: Inputs and outputs.
            module: The loaded module.
            features: The features that feed it.
            name: Name in `hubs`.
            tuned: The variables that may be trained; the layer's `trainable` says whether they are at the moment. None
                if the module stays frozen.

        Raises:
            UserError: if the module doesn't fit the features, or has none of the variables in `tuned`.
        """
        super().__init__(name=f"hub_{name}", trainable=tuned is not None, dtype="float32")
        self._features = sorted(set(hub.inputs.values()))
        called = HubCallable(hub, module, features, tuned)
        self._layer = tf_hub.KerasLayer(called, trainable=tuned is not None, dtype="float32")

    @property
    def generator(self) -> tf.random.Generator | None:
        """The source of the module's random numbers in training, if it is known."""
        return self._layer.resolved_object.generator

    @property
    def module(self) -> Any:
        """The object that TensorFlow loaded, with its variables, tables and assets."""
        return self._layer.resolved_object.module

    def in_order(self, name: str, standardized: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        """The vectors as the head takes them: standardized, or combined by a sequence layer if they have an order.

        Args:
            name: Name of the layer.
            standardized: The standardization layer, or the identity.
        """
        called = self._layer.resolved_object
        if called.combiner is None:
            return standardized
        # Steps beyond the end are zeros.
        layers = [tf.keras.layers.Reshape(called.shape), tf.keras.layers.Masking()]
        layers += [standardized] if isinstance(standardized, Standardization) else []
        return tf.keras.Sequential([*layers, combined(called.combiner)], name=name)

    def points(self, given: tf.Tensor) -> tf.Tensor:
        """The points to standardize, float32 [points, n]: each vector, each actual step of a sequence, or each position
        of a feature map."""
        called = self._layer.resolved_object
        if called.combiner is None:
            return tf.reshape(given, [-1, given.shape[-1]])
        steps = tf.reshape(given, [-1, called.shape[-1]])
        return tf.boolean_mask(steps, tf.reduce_any(steps != 0, axis=1))

    def call(self, inputs: Tensors) -> tf.Tensor | Tensors:
        """Runs the module; in training mode only if the module is being trained."""
        return self._layer({name: inputs[name] for name in self._features})


def try_out(hub: Hub, module: LoadedModule, features: Features, tuned: VariableSelection | None = None) -> None:
    """Applies a module to a symbolic batch of features, as training will.

    Raises:
        UserError: if the module cannot be called with the features, doesn't return one vector per example, or is to be
            trained but cannot be.
    """
    inputs = features_of(hub, features)
    specs = {name: spec for feature, kind in inputs.items() for name, spec in kind.inputs(feature).items()}
    try:
        backbone = HubLayer(hub, module, features, "tried", tuned)
        reached: list[bool] = []

        @tf.function(input_signature=[specs])
        def run(batch: Tensors) -> tf.Tensor | Tensors:
            with tf.GradientTape() as tape:
                vectors = backbone(batch, training=tuned is not None)
            gradients = tape.gradient(vectors, backbone.trainable_variables) if tuned else []
            reached.extend(gradient is not None for gradient in gradients)
            return vectors

        given = run.get_concrete_function().structured_outputs
    except UserError:
        raise
    except Exception as error:  # the module's own functions and tensorflow_hub may raise anything
        reason = library_reason(error)
        raise UserError(f"the module cannot be called with the features given: {reason}") from error
    if hub.outputs:
        ((_, pictures),) = images(inputs).items()
        levels({name: tuple(values.shape[1:]) for name, values in given.items()}, pictures.size)
    else:
        _refuse_no_vector(given.shape)
    if tuned is not None:
        _refuse_unreached(tuned, backbone.trainable_variables, reached)


def _refuse_no_vector(shape: tf.TensorShape) -> None:
    if shape.rank != 2 or shape[1] is None:
        raise UserError(f"the module gives {shape}, but a head needs one vector per example, [?, n]")


def _refuse_unreached(tuned: VariableSelection, variables: Sequence[tf.Variable], reached: Sequence[bool]) -> None:
    """Raises a UserError if the used output doesn't depend on the variables to train."""
    idle = [variable.name for variable, there in zip(variables, reached, strict=True) if not there]
    if idle and (tuned.is_partial or not any(reached)):
        raise UserError(
            "the output that is used does not depend on what is to be trained, or not in a way that can be learned: "
            f"{', '.join(name.partition(':')[0] for name in idle)}"
        )
