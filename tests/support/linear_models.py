"""Exported models whose answers follow from one multiplication of matrices."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from pydantic import TypeAdapter

from hubline.preprocessing.config import Features
from hubline.trainer.export import ServingModel
from hubline.trainer.labels.pixels import Pixels
from hubline.trainer.model import Parts
from hubline.trainer.task import Task
from tests.support import example_data

NAMES = ("ash", "birch", "cedar")
WEIGHTS = np.linspace(-2.0, 3.0, 12).reshape(4, 3).astype(np.float32)
NUMBERS = np.random.default_rng(5).normal(size=(7, 4)).astype(np.float32)
RECORDS = [example_data.record(x=example_data.feature(*row.tolist())) for row in NUMBERS]
LOGITS = NUMBERS @ WEIGHTS


class AsParsed(tf.keras.layers.Layer):
    """A transform graph that changes nothing."""

    def call(self, columns: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        return columns


def export(path: Path, task: Task) -> str:
    """A linear model on the column `x`."""
    given = {"x": tf.keras.Input([4], name="x")}
    dense = tf.keras.layers.Dense(task.outputs, use_bias=False)
    raw = dense(given["x"])
    dense.set_weights([WEIGHTS[:, : task.outputs]])
    if isinstance(task, Pixels):
        raw = tf.keras.layers.Reshape([1, 1, task.outputs])(raw)
    model = tf.keras.Model(given, raw)
    spec = {"x": tf.io.FixedLenFeature([4], tf.float32)}
    features = TypeAdapter(Features).validate_python({"x": {"kind": "numeric", "length": 4}})
    ServingModel(Parts({}, model, model), AsParsed(), spec, ["x"], features, task).save(str(path))
    return str(path)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
