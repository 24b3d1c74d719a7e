"""Plain loops: what someone writes who has only the files, Keras and tf.data."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_hub as hub

from benchmarks.harness import newest
from hubline.components.config.splits import HashSplit
from hubline.core.tfrecords import compression_of
from hubline.pipeline.config import PipelineFile
from hubline.pipeline.load import load
from hubline.trainer.autograph import leave_libraries_alone
from hubline.trainer.config.schedules import highest


def read(file: str, root: str) -> dict[str, Any]:
    """Reads the training split of a run once.

    Args:
        file: The pipeline file.
        root: Root in which the file was run, at least up to ExampleGen.

    Returns:
        The figure `rate`: examples per second.
    """
    config, _ = load(Path(file))
    data = _decoded(split_files(root, "train"), config, shuffle=config.training.shuffle_buffer)
    ends = [time.monotonic() for _ in data]
    return {"figures": {"rate": rate(ends, config.training.batch_size)}}


def rate(ends: Sequence[float], batch_size: int) -> float:
    """Examples per second, from the times at which the batches of one pass ended.

    The first quarter is ignored, as those batches may have been read while the graph was built.
    """
    counted = ends[len(ends) // 4 :]
    return batch_size * (len(counted) - 1) / (counted[-1] - counted[0])


def train(file: str, records: int) -> dict[str, Any]:
    """Trains a head on the frozen module, on as many records as the training split has; returns the figure
    `seconds`."""
    config, _ = load(Path(file))
    leave_libraries_alone()
    begin = time.monotonic()
    files = sorted(map(str, Path(config.data.examples).parent.glob(Path(config.data.examples).name)))
    shares = config.data.split
    assert isinstance(shares, HashSplit)
    parts = shares.train + shares.validation + shares.test
    count, validation = records * shares.train // parts, records * shares.validation // parts
    model = _model(config)
    model.fit(
        _decoded(files, config, take=count, shuffle=config.training.shuffle_buffer),
        validation_data=_decoded(files, config, skip=count, take=validation),
        epochs=config.training.epochs,
        verbose=2,
    )
    return {"figures": {"seconds": time.monotonic() - begin}}


def evaluate(file: str, root: str) -> dict[str, Any]:
    """Evaluates a head on the module over the test split of a run.

    Returns:
        The figures `evaluate`, the seconds of `model.evaluate`, and `with module`, which includes loading the module.
    """
    config, _ = load(Path(file))
    leave_libraries_alone()
    begin = time.monotonic()
    model = _model(config)
    data = _decoded(split_files(root, "test"), config, batch_size=_EVALUATED)
    built = time.monotonic()
    model.evaluate(data, verbose=2)
    end = time.monotonic()
    return {"figures": {"evaluate": end - built, "with module": end - begin}}


_EVALUATED = 256
"""Batch size of `model.evaluate`."""


def split_files(root: str, split: str) -> list[str]:
    """Files of a split that ExampleGen wrote in a root."""
    examples = newest(root, "ExampleGen", "examples")
    return sorted(map(str, (examples / f"Split-{split}").iterdir()))


def _decoded(
    files: Sequence[str],
    config: PipelineFile,
    batch_size: int | None = None,
    skip: int = 0,
    take: int = -1,
    shuffle: int = 0,
) -> tf.data.Dataset:
    """Batches of images, float32 [batch, height, width, 3] in [0, 1], and labels, int64 [batch]."""
    ((column, feature),) = config.features.items()
    spec = {column: tf.io.FixedLenFeature([], tf.string), config.label.column: tf.io.FixedLenFeature([], tf.int64)}

    def decode(encoded: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.io.decode_jpeg(encoded, channels=3)
        return tf.image.resize(pixels, feature.size) / 255.0, label

    def parse(records: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_example(records, spec)
        return parsed[column], parsed[config.label.column]

    batch_size = batch_size or config.training.batch_size
    records = tf.data.TFRecordDataset(files, compression_of(files[0]), num_parallel_reads=tf.data.AUTOTUNE)
    records = records.skip(skip).take(take)
    if shuffle:
        records = records.shuffle(shuffle)
    return (
        records.batch(batch_size)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .unbatch()
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


def _model(config: PipelineFile) -> tf.keras.Model:
    """The frozen module and the head of the pipeline file."""
    assert config.label.classes is not None
    (feature,) = config.features.values()
    (module,) = config.hubs.values()
    layers: list[tf.keras.layers.Layer] = [
        tf.keras.layers.InputLayer([*feature.size, 3]),
        hub.KerasLayer(module.handle, trainable=False),
    ]
    for units in config.model.head.hidden:
        layers += [tf.keras.layers.Dropout(config.model.head.dropout), tf.keras.layers.Dense(units, "relu")]
    layers += [
        tf.keras.layers.Dropout(config.model.head.dropout),
        tf.keras.layers.Dense(len(config.label.classes), "softmax"),
    ]
    model = tf.keras.Sequential(layers)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(highest(config.training.optimizer.learning_rate)),
        loss="sparse_categorical_crossentropy",
        metrics=["sparse_categorical_accuracy"],
    )
    return model
