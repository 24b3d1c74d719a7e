"""The model: hub modules as the backbone, and a head on their outputs."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_hub as tf_hub

from preprocessing.config import Features
from trainer.config import Head, Hub, Hubs, Model, Optimizer
from trainer.inputs import Tensors
from trainer.module import inspect, output_name, signature_name


def build(
    model: Model, hubs: Hubs, module_paths: Mapping[str, str], features: Features, classes: int
) -> tf.keras.Model:
    """Backbone and head as one Keras model.

    Args:
        model: The head.
        hubs: What each hub module is fed.
        module_paths: The folder of each hub module.
        features: The prepared features.
        classes: How many classes there are.

    Returns:
        A model from prepared features by name, float32 of shape [batch, height, width, channels], to logits, float32
        of shape [batch, classes].
    """
    inputs = {
        name: tf.keras.Input([*feature.size, feature.channels], name=name, dtype=tf.float32)
        for name, feature in features.items()
    }
    outputs = [Backbone(hub, module_paths[name], name=name)(inputs) for name, hub in hubs.items()]
    embedding = tf.keras.layers.Concatenate()(outputs) if len(outputs) > 1 else outputs[0]
    return tf.keras.Model(inputs, head(model.head, classes)(embedding), name="hubline")


class Backbone(tf.keras.layers.Layer):
    """A frozen hub module, fed from the prepared features by name, giving float32 vectors of shape [batch, n]."""

    def __init__(self, hub: Hub, path: str, name: str) -> None:
        super().__init__(name=f"hub_{name}", trainable=False)
        module = inspect(path)
        function = module.function(hub)
        self._feeds = dict(hub.inputs)
        self._takes_one = len(function.inputs) == 1
        self._input_names = list(function.inputs)
        self._output = output_name(function, hub)
        signature = signature_name(module, hub)
        self._layer = tf_hub.KerasLayer(
            path,
            trainable=False,
            signature=signature,
            signature_outputs_as_dict=True if signature else None,
            tags=[] if module.format == "TF1" else None,
        )

    def call(self, inputs: Tensors) -> tf.Tensor:
        """Runs the module, in inference mode."""
        if self._takes_one:
            (feature,) = self._feeds.values()
            outputs = self._layer(inputs[feature])
        else:
            outputs = self._layer({name: inputs[feature] for name, feature in self._feeds.items()})
        vectors = outputs[self._output] if isinstance(outputs, Mapping) else tf.nest.flatten(outputs)[0]
        return tf.cast(vectors, tf.float32)


def head(config: Head, classes: int) -> tf.keras.Sequential:
    """Dense layers from vectors, float32 of shape [batch, n], to logits, float32 of shape [batch, classes]."""
    layers: list[tf.keras.layers.Layer] = []
    for units in config.hidden:
        layers += [tf.keras.layers.Dropout(config.dropout), tf.keras.layers.Dense(units, activation="relu")]
    layers += [tf.keras.layers.Dropout(config.dropout), tf.keras.layers.Dense(classes)]
    return tf.keras.Sequential(layers, name="head")


def optimizer(config: Optimizer) -> tf.keras.optimizers.Optimizer:
    """The Keras optimizer that a section describes."""
    classes = {
        "adam": tf.keras.optimizers.Adam,
        "adamw": tf.keras.optimizers.AdamW,
        "sgd": tf.keras.optimizers.SGD,
        "rmsprop": tf.keras.optimizers.RMSprop,
    }
    options = {} if config.momentum is None else {"momentum": config.momentum}
    return classes[config.name](learning_rate=config.learning_rate, **options)
