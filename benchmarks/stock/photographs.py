"""Transfer learning as in TensorFlow's tutorials, on the records that a run of Hubline ingested."""

import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

from benchmarks.harness import newest
from hubline.pipeline.load import load
from hubline.trainer.autograph import leave_libraries_alone


def train(file: str, trained: str) -> dict[str, Any]:
    """Trains by the recipe of a pipeline file; the figures are `accuracy` on the test split, and `seconds`."""
    leave_libraries_alone()
    config, _ = load(Path(file))
    examples = newest(trained, "ExampleGen", "examples")
    ((name, module),) = config.hubs.items()
    tune, training = config.model.fine_tune[name], config.training
    size = config.features["photo"].size
    tf.keras.utils.set_random_seed(training.seed)
    train_data, validation, test = (
        _split(examples / f"Split-{split}", size) for split in ("train", "validation", "test")
    )
    names = tf.keras.layers.StringLookup(num_oov_indices=0)
    names.adapt(train_data.map(lambda _, label: label).batch(1024))
    begin = time.monotonic()

    def batches(data: tf.data.Dataset) -> tf.data.Dataset:
        return data.batch(training.batch_size).map(lambda image, label: (image, names(label))).prefetch(2)

    shown = train_data.cache().shuffle(10_000).map(_changed, num_parallel_calls=tf.data.AUTOTUNE)
    backbone = hub.KerasLayer(module.handle, trainable=False)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input([*size, 3]),
            backbone,
            layers.Dropout(config.model.head.dropout),
            layers.Dense(names.vocabulary_size()),
        ]
    )
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    rates = training.optimizer.learning_rate, tune.learning_rate
    epochs = tune.after_epochs, training.epochs - tune.after_epochs
    for tuned, rate, count in zip((False, True), rates, epochs, strict=True):
        backbone.trainable = tuned
        model.compile(tf.keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
        model.fit(batches(shown), validation_data=batches(validation.cache()), epochs=count, verbose=0)
    seconds = time.monotonic() - begin
    _, accuracy = model.evaluate(batches(test), verbose=0)
    return {"figures": {"accuracy": float(accuracy), "seconds": seconds}}


_PATIENCE, _MOST_EPOCHS = 5, 100
_HEADS = [(dropout, hidden) for dropout in (0.0, 0.2) for hidden in ((), (128,))]
"""Dropout and hidden units to choose from."""


def train_head(file: str, trained: str) -> dict[str, Any]:
    """Trains heads on the frozen module as a careful person does.

    The module's vectors are computed once and standardized. Adam has Keras' usual 0.001, training stops when the
    validation loss no longer falls, and of the `_HEADS` the one with the lowest validation loss counts.

    Args:
        file: A pipeline file with one hub module.
        trained: Root of a run of it, whose splits are used.

    Returns:
        The figure `accuracy`: on the test split, the mean of five seeds.
    """
    leave_libraries_alone()
    config, _ = load(Path(file))
    examples = newest(trained, "ExampleGen", "examples")
    (module,) = config.hubs.values()
    backbone = hub.KerasLayer(module.handle, trainable=False)
    size = config.features["photo"].size
    data = {
        split: _vectors(_split(examples / f"Split-{split}", size), backbone)
        for split in ("train", "validation", "test")
    }
    found = [_mean_of_seeds(data, *head) for head in _HEADS]
    return {"figures": {"accuracy": min(found)[1]}}


def _vectors(data: tf.data.Dataset, backbone: hub.KerasLayer) -> tuple[np.ndarray, np.ndarray]:
    """The module's output for each image, float32 [n, m], and the class names."""
    vectors, names = zip(*((backbone(image).numpy(), names.numpy()) for image, names in data.batch(64)), strict=True)
    return np.concatenate(vectors), np.concatenate(names)


def _mean_of_seeds(
    data: dict[str, tuple[np.ndarray, np.ndarray]], dropout: float, hidden: tuple[int, ...]
) -> tuple[float, float]:
    """Mean validation loss and mean test accuracy of heads of one shape."""
    layers = tf.keras.layers
    standardize, names = layers.Normalization(), layers.StringLookup(num_oov_indices=0)
    standardize.adapt(data["train"][0])
    names.adapt(data["train"][1])
    x = {split: standardize(vectors) for split, (vectors, _) in data.items()}
    y = {split: names(of_each) for split, (_, of_each) in data.items()}
    losses, accuracies = [], []
    for seed in range(5):
        tf.keras.utils.set_random_seed(seed)
        below = [layer for units in hidden for layer in (layers.Dropout(dropout), layers.Dense(units, "relu"))]
        model = tf.keras.Sequential([*below, layers.Dropout(dropout), layers.Dense(names.vocabulary_size())])
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(tf.keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        model.fit(
            x["train"],
            y["train"],
            validation_data=(x["validation"], y["validation"]),
            epochs=_MOST_EPOCHS,
            verbose=0,
            callbacks=[tf.keras.callbacks.EarlyStopping(patience=_PATIENCE, restore_best_weights=True)],
        )
        losses.append(model.evaluate(x["validation"], y["validation"], verbose=0)[0])
        accuracies.append(model.evaluate(x["test"], y["test"], verbose=0)[1])
    return float(np.mean(losses)), float(np.mean(accuracies))


def _split(folder: Path, size: tuple[int, int]) -> tf.data.Dataset:
    """Images, float32 in [0, 1], and their class names."""
    spec = {name: tf.io.FixedLenFeature([], tf.string) for name in ("image", "label")}

    def decode(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_single_example(record, spec)
        image = tf.io.decode_image(parsed["image"], channels=3, expand_animations=False)
        return tf.image.resize(image, size) / 255.0, parsed["label"]

    files = sorted(map(str, folder.iterdir()))
    return tf.data.TFRecordDataset(files).map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def _changed(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The example's augmentations: flipping, and cropping by up to a fifth."""
    height, width, channels = image.shape
    share = tf.random.uniform([], 0.8, 1.0)
    window = [tf.cast(share * height, tf.int32), tf.cast(share * width, tf.int32), channels]
    image = tf.image.resize(tf.image.random_crop(image, window), [height, width])
    return tf.ensure_shape(tf.image.random_flip_left_right(image), [height, width, channels]), label
