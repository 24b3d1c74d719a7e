"""A backbone other than a hub module, as a layer of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow as tf

from hubline.core import storage
from hubline.preprocessing.kinds import image
from hubline.preprocessing.kinds.image import ImageFeature, ImageKind
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.trainer.autograph import leave_libraries_alone
from hubline.trainer.backbones.alexnet import alexnet
from hubline.trainer.backbones.builder import built
from hubline.trainer.backbones.config import AlexNet, AnyBackbone, Builder, KerasApplication, LeNet5
from hubline.trainer.backbones.keras_application import keras_application, preprocess
from hubline.trainer.backbones.lenet5 import lenet5
from hubline.trainer.backbones.resnet34 import resnet34
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.inputs import Tensors
from hubline.trainer.saved_model import Variable, to_train

if TYPE_CHECKING:
    from hubline.preprocessing.config import Feature, Features

# Must run before any Keras call, including in steps that only try out a backbone.
leave_libraries_alone()


class BackboneLayer(tf.keras.layers.Layer):
    """A Keras backbone, fed from the features by name; returns float32 vectors of shape [batch, n]."""

    def __init__(
        self,
        config: AnyBackbone,
        features: Features,
        name: str,
        weights: str | None = None,
        tuned: VariableSelection | None = None,
    ) -> None:
        """Builds the network.

        Args:
            config: Configuration of the backbone.
            features: The features that feed it.
            name: Name in `backbones`.
            weights: File with the initial weights, if any.
            tuned: The variables that may be trained; None for all. `trainable` says whether they are trained at the
                moment.

        Raises:
            UserError: if the network cannot be built, doesn't fit the features, or has none of the variables in
                `tuned`.
        """
        super().__init__(name=f"backbone_{name}", dtype="float32")
        self._config = config
        self._fed = {given: (fed, features[fed]) for given, fed in config.inputs.items()}
        self.network = _network(config, {given: feature for given, (_, feature) in self._fed.items()}, weights)
        own = self.network.trainable_weights
        names = to_train(_variables(own, self.network.non_trainable_weights), tuned) if tuned else None
        self._to_train = frozenset(one.ref() for one in own if names is None or _name(one) in names)
        self._uses_training_mode = tuned is None or tuned.uses_training_mode

    @property
    def module(self) -> tf.keras.Model:
        """The object that holds the variables and tables."""
        return self.network

    @property
    def trainable(self) -> bool:
        """Whether the backbone is trained at the moment. Inner layers that are never trainable stay so."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value

    @property
    def trainable_weights(self) -> list[tf.Variable]:
        return [one for one in self.network.weights if self._trainable and one.ref() in self._to_train]

    @property
    def non_trainable_weights(self) -> list[tf.Variable]:
        return [one for one in self.network.weights if not self._trainable or one.ref() not in self._to_train]

    def in_order(self, name: str, standardized: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        """The vectors as the head takes them: standardized, if they are to be."""
        return standardized

    def points(self, given: tf.Tensor) -> tf.Tensor:
        """The points to standardize: each vector is one."""
        return given

    def call(self, inputs: Tensors, training: bool | None = None) -> tf.Tensor:
        """Runs the network, in training mode if that is asked for and the network is being trained."""
        given = {name: self._prepared(feature, inputs[fed]) for name, (fed, feature) in self._fed.items()}
        told = bool(training) and self._trainable and self._uses_training_mode
        return tf.cast(self.network(given, training=told), tf.float32)

    def _prepared(self, feature: Feature, values: tf.Tensor) -> tf.Tensor:
        """Scales pixels for the network, and gives numbers their shape; texts are unchanged."""
        if isinstance(feature, NumericFeature):
            return feature.as_module_input(values)
        if not isinstance(feature, ImageKind):
            return values
        if isinstance(self._config, KerasApplication) and not self._config.takes_range:
            return preprocess(self._config, values)
        return image.scaled(feature, values)


def weights_in(folder: str) -> str:
    """The file of weights in the folder of a weights artifact. It keeps the extension of the original file."""
    (name,) = storage.names(folder)
    return f"{folder}/{name}"


def try_out(
    config: AnyBackbone, features: Features, weights: str | None = None, tuned: VariableSelection | None = None
) -> tuple[int, int]:
    """Builds a backbone and applies it to a symbolic batch of features, as training will.

    Returns:
        The size of its vectors, and its number of weights.

    Raises:
        UserError: as `BackboneLayer` does.
    """
    backbone = BackboneLayer(config, features, "tried", weights, tuned)
    return backbone.network.output_shape[-1], backbone.network.count_params()


def _network(config: AnyBackbone, features: dict[str, Feature], weights: str | None) -> tf.keras.Model:
    """A network from inputs by name, float32 pixels and numbers, and strings, to [batch, n]."""
    inputs = {name: _input(name, feature) for name, feature in features.items()}
    if isinstance(config, Builder):
        return tf.keras.Model(inputs, built(config, inputs))
    (feature,) = features.values()
    assert isinstance(feature, ImageFeature)  # the pipeline file's validation ensures this
    (height, width), channels = feature.size, feature.channels
    if isinstance(config, KerasApplication):
        network = keras_application(config, height, width, weights)
    elif isinstance(config, LeNet5):
        network = lenet5(height, width, channels)
    elif isinstance(config, AlexNet):
        network = alexnet(height, width, channels, config.dropout)
    else:
        network = resnet34(height, width, channels, config.squeeze_and_excitation)
    return tf.keras.Model(inputs, network(inputs["pixels"]))


def _input(name: str, feature: Feature) -> tf.Tensor:
    if isinstance(feature, NumericFeature):
        return tf.keras.Input(feature.module_shape, name=name)
    (spec,) = feature.inputs(name).values()
    dtype = tf.float32 if isinstance(feature, ImageKind) else spec.dtype
    return tf.keras.Input(spec.shape[1:], dtype=dtype, name=name)


def _variables(trainable: list[tf.Variable], others: list[tf.Variable]) -> tuple[Variable, ...]:
    return tuple(
        Variable(name=_name(one), dtype=one.dtype.name, shape=tuple(one.shape), trainable=is_trainable)
        for some, is_trainable in ((trainable, True), (others, False))
        for one in some
    )


def _name(variable: tf.Variable) -> str:
    return variable.name.partition(":")[0]
