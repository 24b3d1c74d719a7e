"""Makes small real hub modules of each sort that a pipeline file may name."""

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
    """A module that can be called with what a spec says, and has neither signatures nor lists of variables."""

    class Module(tf.Module):
        @tf.function(input_signature=[spec])
        def __call__(self, inputs):
            return function(inputs)

    tf.saved_model.save(Module(), str(path))
    return path


def signature(path: Path, specs: Mapping[str, tf.TensorSpec], function: Callable) -> Path:
    """A module that has nothing but one signature."""
    holder = tf.Module()
    named = {name: tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()}
    call = tf.function(lambda **inputs: function(**inputs)).get_concrete_function(**named)
    tf.saved_model.save(holder, str(path), signatures={"serving_default": call})
    return path


class Endpoints(tf.__internal__.tracking.AutoTrackable):
    """As image modules of TensorFlow Hub are: layers with batch normalisation, options that it was traced with."""

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
    """A Keras model with batch normalisation, by its own `save` or `export`."""
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


def tf1_texts(path: Path, folder: Path) -> Path:
    """A TF1 hub module of texts, string [batch], by a vocabulary file, to vectors [batch, 2]; with a graph to train."""
    words = folder / "words.txt"
    words.write_text("good\nbad\n")
    builder = None
    for tags, factor in ((["train"], 100.0), ([], 1.0)):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            asset = tf.constant(str(words))
            tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.ASSET_FILEPATHS, asset)
            lines = tf.lookup.TextFileInitializer(
                asset, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            table = tf.lookup.StaticVocabularyTable(lines, 1)
            texts = tf.compat.v1.placeholder(tf.string, [None], name="texts")
            vectors = tf.compat.v1.get_variable("vectors", initializer=tf.constant([[1.0, 0], [0, 1], [5, 5]]))
            given = factor * tf.gather(vectors, table.lookup(texts))
            session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
            make = tf.compat.v1.saved_model.predict_signature_def
            signatures = {
                "default": make({"text": texts}, {"default": given}),
                "both": make({"text": texts}, {"default": 2 * given, "layer_1/output": 3 * given}),
            }
            initializer = tf.compat.v1.tables_initializer()
            if builder is None:
                builder = tf.compat.v1.saved_model.Builder(str(path))
                builder.add_meta_graph_and_variables(session, tags, signatures, [asset], main_op=initializer)
            else:
                builder.add_meta_graph(tags, signatures, [asset], main_op=initializer)
    builder.save()
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path


def tf1_detector(path: Path) -> Path:
    """A TF1 hub module as detectors on TensorFlow Hub are: one image in, float32 [1, height, width, 3] in [0, 1], and
    what is found out, without a batch, by its name: the whole image with the mean of its first channel for score."""
    builder = tf.compat.v1.saved_model.Builder(str(path))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32, [1, None, None, 3], name="images")
        outputs = {
            "detection_boxes": tf.constant([[0.0, 0.0, 1.0, 1.0]]),
            "detection_scores": tf.reduce_mean(images, [1, 2])[:, 0],
            "detection_class_entities": tf.constant(["All"]),
            "detection_class_labels": tf.constant([7], tf.int64),
        }
        make = tf.compat.v1.saved_model.predict_signature_def
        builder.add_meta_graph_and_variables(session, [], {"default": make({"images": images}, outputs)})
    builder.save()
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path


def with_operation(path: Path, **renamed: str) -> Path:
    """Has some operations of a module in the folder be others, such as none that there are."""
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for function in saved.meta_graphs[0].graph_def.library.function:
        for node in function.node_def:
            node.op = renamed.get(node.op, node.op)
    file.write_bytes(saved.SerializeToString())
    return path


class Inverting(tf.Module):
    """Augments as https://www.tensorflow.org/hub/common_signatures/images says: images of some shape to the same, half
    of them with their colours inverted. Which half, a seed tells, or each call draws anew."""

    def __init__(self, seeded: bool, shape: Shape) -> None:
        super().__init__()
        specs = [tf.TensorSpec([None, *shape], tf.float32, "images")]
        specs += [tf.TensorSpec([2], tf.int64, "seed")] if seeded else []
        self.__call__ = tf.function(self._seeded if seeded else self._unseeded, input_signature=specs)

    def _seeded(self, images, seed):
        return _inverted(images, tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed))

    def _unseeded(self, images):
        return _inverted(images, tf.random.uniform([tf.shape(images)[0], 1, 1, 1]))


def _inverted(images: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    return tf.where(drawn < 0.5, 1.0 - images, images)


def inverting(path: Path, seeded: bool = True, shape: Shape | None = None) -> Path:
    tf.saved_model.save(Inverting(seeded, shape or [8, 8, 3]), str(path))
    return path


def keras_augmenting(path: Path) -> Path:
    """Keras' own layers, which do nothing but in training."""
    leave_libraries_alone()
    layers = tf.keras.layers
    tf.keras.Sequential([layers.Input([8, 8, 3]), layers.RandomFlip("horizontal", seed=1)]).save(
        str(path), save_format="tf"
    )
    return path


def tf1_augmenting(path: Path) -> Path:
    """A TF1 module of image augmentation: files of images, a size, and whether it shall change anything."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        files = tf.compat.v1.placeholder(tf.string, [None])
        size = tf.compat.v1.placeholder(tf.int32, [2])
        wanted = tf.compat.v1.placeholder(tf.bool, [])
        decoded = tf.map_fn(lambda one: tf.io.decode_image(one, 3, expand_animations=False), files, tf.uint8)
        images = tf.image.resize(tf.ensure_shape(decoded, [None, None, None, 3]), size) / 255.0
        given = tf.where(wanted, 1.0 - images, images)
        make = tf.compat.v1.saved_model.predict_signature_def
        inputs = {"encoded_images": files, "image_size": size, "augmentation": wanted}
        builder = tf.compat.v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(session, [], {"default": make(inputs, {"default": given})})
    builder.save()
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path
