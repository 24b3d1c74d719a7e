"""Makes small real things for the tests: images, records, TFRecord files, hub modules, pipeline files."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image


def image_bytes(pixels: np.ndarray, form: str = "PNG") -> bytes:
    """An encoded image of uint8 pixels, [height, width] or [height, width, 3]."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format=form)
    return out.getvalue()


def random_image(seed: int, height: int = 8, width: int = 8, form: str = "PNG") -> bytes:
    return image_bytes(np.random.default_rng(seed).integers(0, 256, [height, width, 3], np.uint8), form)


def feature(*values: bytes | str | int | float) -> tf.train.Feature:
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    encoded = [value.encode() if isinstance(value, str) else value for value in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))


def record(**columns: bytes | str | int | float | tf.train.Feature) -> bytes:
    """A serialized tf.Example."""
    features = {k: v if isinstance(v, tf.train.Feature) else feature(v) for k, v in columns.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)


def sequence(example: bytes, steps: int = 3) -> bytes:
    """A serialized tf.SequenceExample with the columns of a tf.Example in its context."""
    message = tf.train.SequenceExample(context=tf.train.Example.FromString(example).features)
    for step in range(steps):
        message.feature_lists.feature_list["steps"].feature.add().CopyFrom(feature(step))
    return message.SerializeToString(deterministic=True)


def labelled(count: int, classes: Sequence[str | int] = (0, 1)) -> list[bytes]:
    """Records whose images tell their class: class k is k-th darkest, with noise."""
    rng = np.random.default_rng(0)
    records = []
    for number in range(count):
        index = number % len(classes)
        grey = 255 * (index + 0.5) / len(classes)
        pixels = np.clip(rng.normal(grey, 12, [8, 8, 3]), 0, 255).astype(np.uint8)
        records.append(record(image=image_bytes(pixels), label=classes[index]))
    return records


def write_tfrecord(path: Path, records: Iterable[bytes], compression: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for item in records:
            writer.write(item)
    return path


def read_tfrecord(path: Path | str, compression: str = "") -> list[bytes]:
    return [item.numpy() for item in tf.data.TFRecordDataset(str(path), compression)]


class MeanColour(tf.__internal__.tracking.AutoTrackable):
    """A reusable SavedModel: images float32 [batch, 8, 8, 3] to [batch, 6], their mean and contrast by channel.

    It has the attributes that https://www.tensorflow.org/hub/reusable_saved_models asks for.
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


def hub_module(path: Path) -> Path:
    module = MeanColour()
    tf.saved_model.save(module, str(path))
    return path


class TwoOutputs(tf.Module):
    """Only a signature, two inputs and two outputs."""

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 8, 8, 3], tf.float32, name="left"),
            tf.TensorSpec([None, 8, 8, 1], tf.float32, name="right"),
        ]
    )
    def both(self, left: tf.Tensor, right: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"vector": tf.reduce_mean(left, [1, 2]) + tf.reduce_mean(right, [1, 2]), "map": left * right}


def signature_module(path: Path) -> Path:
    module = TwoOutputs()
    tf.saved_model.save(module, str(path), signatures={"both": module.both})
    return path


def tf1_hub_module(path: Path, *tag_sets: Sequence[str]) -> Path:
    """A module in the TF1 hub form: images [batch, 8, 8, 3] to vectors [batch, 5].

    Of several graphs each has its tags, and multiplies by its place among them, from 1.
    """
    builder = tf.compat.v1.saved_model.Builder(str(path))
    for number, tags in enumerate(tag_sets or [[]]):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            images = tf.compat.v1.placeholder(tf.float32, [None, 8, 8, 3], name="images")
            weights = tf.compat.v1.get_variable("weights", [3, 5], initializer=tf.compat.v1.ones_initializer())
            tf.compat.v1.get_variable("steps", [], dtype=tf.int64, trainable=False)
            vectors = (number + 1.0) * tf.reduce_mean(images, [1, 2]) @ weights
            session.run(tf.compat.v1.global_variables_initializer())
            signatures = {
                "default": tf.compat.v1.saved_model.predict_signature_def({"images": images}, {"default": vectors})
            }
            if number == 0:
                builder.add_meta_graph_and_variables(session, list(tags), signatures)
            else:
                builder.add_meta_graph(list(tags), signatures)
    builder.save()
    # Says that this is a hub module: its one field, the format, is 3 (tensorflow_hub's module_def.proto).
    (path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return path


PIPELINE = """\
name: tiny
data:
  examples: data
  split: {train: 6, validation: 2, test: 2}
features:
  image: {kind: image, size: [8, 8]}
label: {from: label, kind: class, classes: [dark, light]}
hubs:
  mean: {handle: module, inputs: {images: image}}
training: {epochs: 5, batch_size: 16, optimizer: {learning_rate: 0.1}}
evaluation: {thresholds: {accuracy: {at_least: 0.9, no_worse_than_serving_by: 0.02}}}
serving: {destination: serving}
"""


def project(folder: Path, text: str = PIPELINE, records: Sequence[bytes] | None = None) -> Path:
    """A folder with a pipeline file, its data in two files, and its hub module; gives the file."""
    records = labelled(200) if records is None else records
    write_tfrecord(folder / "data" / "a.tfrecord", records[0::2])
    write_tfrecord(folder / "data" / "b.tfrecord.gz", records[1::2], "GZIP")
    hub_module(folder / "module")
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return path
