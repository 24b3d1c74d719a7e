"""Small sample data: encoded images, tf.Examples and TFRecord files."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image


def image_bytes(pixels: np.ndarray, form: str = "PNG") -> bytes:
    """Encodes uint8 pixels, [height, width] or [height, width, 3]."""
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
    """Records whose images determine the class: class k is the k-th darkest, with noise."""
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
