"""A careful Keras script for the taxi trips, on the records that a run of Hubline ingested."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from benchmarks.harness import newest
from hubline.trainer.autograph import leave_libraries_alone

_SKEWED = ("fare", "trip_miles", "trip_seconds")
_PLACES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
_CODES = (
    "trip_start_hour", "trip_start_day", "trip_start_month", "pickup_community_area", "dropoff_community_area",
)  # fmt: skip
_WORDS = ("payment_type", "company")
_INTEGERS = ("trip_seconds", *_CODES)
_BUCKETS, _PATIENCE, _MOST_EPOCHS = 20, 3, 50

Columns = dict[str, np.ndarray]


def train(trained: str, seeds: int) -> dict[str, Any]:
    """Trains a network as a careful person does.

    Skewed numbers are filled with their median, logged and standardized, places are put into buckets of equally many
    trips, and codes and words are one-hot. Adam has Keras' usual 0.001, and training stops when the validation loss no
    longer falls.

    Args:
        trained: Root of a run, whose splits are used.
        seeds: Number of trainings.

    Returns:
        The figure `auc`: on the test split, the mean over all seeds.
    """
    leave_libraries_alone()
    examples = newest(trained, "ExampleGen", "examples")
    splits = {split: _columns(examples / f"Split-{split}") for split in ("train", "validation", "test")}
    x = {split: _inputs(columns, splits["train"]) for split, columns in splits.items()}
    y = {split: _generous(columns) for split, columns in splits.items()}
    aucs = []
    layers = tf.keras.layers
    for seed in range(seeds):
        tf.keras.utils.set_random_seed(seed)
        hidden = [layer for units in (64, 32) for layer in (layers.Dense(units, "relu"), layers.Dropout(0.1))]
        model = tf.keras.Sequential([*hidden, layers.Dense(1)])
        model.compile(tf.keras.optimizers.Adam(1e-3), tf.keras.losses.BinaryCrossentropy(from_logits=True))
        model.fit(
            x["train"],
            y["train"],
            validation_data=(x["validation"], y["validation"]),
            epochs=_MOST_EPOCHS,
            batch_size=128,
            verbose=0,
            callbacks=[tf.keras.callbacks.EarlyStopping(patience=_PATIENCE, restore_best_weights=True)],
        )
        aucs.append(roc_auc_score(y["test"], model.predict(x["test"], verbose=0)[:, 0]))
    return {"figures": {"auc": float(np.mean(aucs))}}


def _columns(folder: Path) -> Columns:
    """All trips of a split by column; NaN, -1 and "" stand for missing values."""
    spec = {
        **{name: tf.io.FixedLenFeature([], tf.string, "") for name in _WORDS},
        **{name: tf.io.FixedLenFeature([], tf.int64, -1) for name in _INTEGERS},
        **{name: tf.io.FixedLenFeature([], tf.float32, np.nan) for name in ("tips", "fare", "trip_miles", *_PLACES)},
    }
    records = tf.data.TFRecordDataset(sorted(map(str, folder.iterdir()))).batch(100_000).get_single_element()
    found = {name: values.numpy() for name, values in tf.io.parse_example(records, spec).items()}
    seconds = found["trip_seconds"]
    return found | {"trip_seconds": np.where(seconds < 0, np.nan, seconds)}


def _generous(columns: Columns) -> np.ndarray:
    """Whether the tip is more than a fifth of the fare."""
    return (columns["tips"] > 0.2 * columns["fare"].astype(np.float64)).astype(np.float32)


def _inputs(columns: Columns, training: Columns) -> np.ndarray:
    """The network's input, float32 [trips, n], with statistics of the training split."""
    parts = []
    for name in _SKEWED:
        median = np.nanmedian(training[name])
        numbers, known = (np.log1p(np.where(np.isnan(each), median, each)) for each in (columns[name], training[name]))
        parts.append(((numbers - known.mean()) / known.std())[:, np.newaxis])
    for name in _PLACES:
        boundaries = np.nanquantile(training[name], np.arange(1, _BUCKETS) / _BUCKETS)
        bucket = np.where(np.isnan(columns[name]), _BUCKETS, np.digitize(columns[name], boundaries))
        parts.append(np.eye(_BUCKETS + 1)[bucket])
    for name in (*_CODES, *_WORDS):
        kind = tf.keras.layers.StringLookup if name in _WORDS else tf.keras.layers.IntegerLookup
        lookup = kind(output_mode="one_hot")
        lookup.adapt(training[name])
        parts.append(lookup(columns[name]).numpy())
    return np.concatenate(parts, axis=1).astype(np.float32)
