"""Small hub modules of TF2: reusable SavedModels, plain signatures, Keras models."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from hubline.trainer.autograph import leave_libraries_alone

IMAGES = tf.TensorSpec([None, 8, 8, 3], tf.float32)
Shape = list[int | None]


def module(path: Path, spec: Any, function: Callable) -> Path:
    """A module callable with the given spec, without signatures or lists of variables."""

    class Module(tf.Module):
        @tf.function(input_signature=[spec])
        def __call__(self, inputs):
            return function(inputs)

    tf.saved_model.save(Module(), str(path))
    return path


def signature(path: Path, specs: Mapping[str, tf.TensorSpec], function: Callable) -> Path:
    """A module with a single signature and nothing else."""
    holder = tf.Module()
    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}
    call = tf.function(lambda **inputs: function(**inputs)).get_concrete_function(**named)
    tf.saved_model.save(holder, str(path), signatures={"serving_default": call})
    return path


class Endpoints(tf.__internal__.tracking.AutoTrackable):
    """Like image modules of TensorFlow Hub: layers with batch normalization, and options fixed in its traces."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        shapes = {"block1": [3, 4], "block2": [4, 4], "logits": [4, 5]}
        kernels = {
            name: tf.Variable(rng.normal(size=shape).astype(np.float32), name=f"Net/{name}/weights")
            for name, shape in shapes.items()
        }
        self.gamma = {
            name: tf.Variable(tf.ones([4]), name=f"Net/{name}/BatchNorm/gamma") for name in ("block1", "block2")
        }
        self.beta = {
            name: tf.Variable(tf.zeros([4]), name=f"Net/{name}/BatchNorm/beta") for name in ("block1", "block2")
        }
        self.mean = {
            name: tf.Variable(tf.zeros([4]), name=f"Net/{name}/BatchNorm/moving_mean", trainable=False)
            for name in ("block1", "block2")
        }
        self.kernels = kernels
        by_layer = [[kernels[name], self.gamma[name], self.beta[name]] for name in ("block1", "block2")]
        self.trainable_variables = [*by_layer[0], *by_layer[1], kernels["logits"]]
        self.variables = [*self.trainable_variables, *self.mean.values()]
        self.regularization_losses = [tf.function(lambda: 0.01 * tf.reduce_sum(kernels["logits"] ** 2), [])]

    @tf.function
    def __call__(self, inputs, training=False, return_endpoints=False, batch_norm_momentum=0.9):
        ends = {}
        values = tf.reduce_mean(inputs, [1, 2])[:, tf.newaxis, tf.newaxis] + 0.1 * inputs
        for name in ("block1", "block2"):
            values = values @ self.kernels[name]
            mean = tf.reduce_mean(values, [0, 1, 2]) if training else self.mean[name]
            if training:
                moved = batch_norm_momentum * self.mean[name] + (1 - batch_norm_momentum) * mean
                self.mean[name].assign(moved)
            values = tf.nn.relu(self.gamma[name] * (values - mean) + self.beta[name] + 0.5)
            ends[f"Net/{name}/output"] = values
        logits = tf.reduce_mean(values, [1, 2]) @ self.kernels["logits"]
        return {"default": logits} | ends if return_endpoints else logits


def endpoints(path: Path) -> Path:
    made = Endpoints()
    for training in (True, False):
        for ends in (True, False):
            made.__call__.get_concrete_function(IMAGES, training, ends)
    tf.saved_model.save(made, str(path))
    return path


def keras(path: Path, how: str) -> Path:
    """A Keras model with batch normalization, saved by its own `save` or `export`."""
    leave_libraries_alone()
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input([8, 8, 3]),
            layers.Conv2D(4, 3, name="block1_conv"),
            layers.BatchNormalization(name="block1_bn"),
            layers.ReLU(),
            layers.Conv2D(4, 3, name="block2_conv"),
            layers.BatchNormalization(name="block2_bn"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    getattr(model, how)(str(path), **({"save_format": "tf"} if how == "save" else {}))
    return path


def with_operation(path: Path, **renamed: str) -> Path:
    """Renames operations of the module in the folder, for example to ones that don't exist."""
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for function in saved.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            node.op = renamed.get(node.op, node.op)
    file.write_bytes(saved.SerializeToString())
    return path


class MeanColour(tf.__internal__.tracking.AutoTrackable):
    """A reusable SavedModel: maps images, float32 [batch, 8, 8, 3], to their mean and contrast by channel, [batch, 6].

    It has the attributes that https://www.tensorflow.org/hub/reusable_saved_models requires.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scale = tf.Variable(tf.ones([6]), name="scale")
        self.offset = tf.Variable(tf.zeros([6]), name="offset", trainable=False)
        self.variables = [self.scale, self.offset]
        self.trainable_variables = [self.scale]
        self.regularization_losses = []

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, name="images")])
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        moments = tf.concat([tf.reduce_mean(images, [1, 2]), tf.math.reduce_std(images, [1, 2])], axis=1)
        return moments * self.scale + self.offset


def mean_colour(path: Path) -> Path:
    module = MeanColour()
    tf.saved_model.save(module, str(path))
    return path


class TwoOutputs(tf.Module):
    """A signature only, with two inputs and two outputs."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 8, 8, 3], tf.float32, name="left"),
            tf.TensorSpec([None, 8, 8, 1], tf.float32, name="right"),
        ]
    )
    def both(self, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"vector": tf.reduce_mean(left, [1, 2]) + tf.reduce_mean(right, [1, 2]), "map": left * right}


def two_inputs(path: Path) -> Path:
    module = TwoOutputs()
    tf.saved_model.save(module, str(path), signatures={"both": module.both})
    return path
