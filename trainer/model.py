"""The model: hub modules as the backbone, and a head on their outputs."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_hub as tf_hub

from preprocessing.config import Features
from preprocessing.errors import UserError
from trainer.autograph import leave_keras_alone
from trainer.config import Head, Hub, Hubs, Model, Optimizer
from trainer.inputs import Tensors
from trainer.module import by_name, inspect, output_name, signature_name

# Before any of Keras is called: to try a module out, to train, in a test.
leave_keras_alone()


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
    inputs = keras_inputs(features)
    outputs = [Backbone(hub, module_paths[name], features, name)(inputs) for name, hub in hubs.items()]
    embedding = tf.keras.layers.Concatenate()(outputs) if len(outputs) > 1 else outputs[0]
    return tf.keras.Model(inputs, head(model.head, classes)(embedding), name="hubline")


def keras_inputs(features: Features) -> Tensors:
    """A symbolic batch of each prepared feature, by name."""
    return {
        name: tf.keras.Input([*feature.size, feature.channels], name=f"feature_{name}", dtype=tf.float32)
        for name, feature in features.items()
    }


class Backbone(tf.keras.layers.Layer):
    """A frozen hub module, fed from the prepared features by name, giving float32 vectors of shape [batch, n]."""

    def __init__(self, hub: Hub, path: str, features: Features, name: str) -> None:
        super().__init__(name=f"hub_{name}", trainable=False)
        module = inspect(path)
        function = module.function(hub, features)
        signature = signature_name(module, hub)
        self._feeds = (
            dict(zip(function.inputs, hub.inputs.values(), strict=True)) if len(hub.inputs) == 1 else dict(hub.inputs)
        )
        self._takes_tensor = function.takes == "tensor"
        self._output = output_name(function, hub)
        self._layer = tf_hub.KerasLayer(
            path,
            trainable=False,
            signature=signature,
            signature_outputs_as_dict=True if signature else None,
            tags=None if module.tags is None else list(module.tags),
        )

    def call(self, inputs: Tensors) -> tf.Tensor:
        """Runs the module, in inference mode."""
        fed = {name: inputs[feature] for name, feature in self._feeds.items()}
        outputs = self._layer(next(iter(fed.values())) if self._takes_tensor else fed)
        return tf.cast(by_name(outputs, "default")[self._output], tf.float32)


def try_out(hub: Hub, path: str, features: Features) -> None:
    """Puts a module behind a symbolic batch of features, as training will.

    Raises:
        UserError: where it cannot be called so, or does not give a vector for each example.
    """
    try:
        vectors = Backbone(hub, path, features, "tried")(keras_inputs(features))
    except UserError:
        raise
    except Exception as error:  # whatever the module's own functions and tensorflow_hub raise
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"the module cannot be called with the features given: {reason}") from error
    if vectors.shape.rank != 2 or vectors.shape[1] is None:
        raise UserError(f"the module gives {vectors.shape}, but a head needs a vector for each example, [?, n]")


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
