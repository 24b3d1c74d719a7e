"""SavedModels and servers for tests of `hubline serve`."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from hubline.trainer.adapters.tensorflow import set_method_names


class Doubling(tf.Module):
    """A model of known answers, multiplied by a factor that tells versions apart.

    `serving_default`: `x`, float32 [batch, 2], and `name`, string [batch], to `y` = factor * x, and `text` = name.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = tf.Variable(factor)

    @tf.function(
        input_signature=[
            {"x": tf.TensorSpec([None, 2], tf.float32, "x"), "name": tf.TensorSpec([None], tf.string, "name")}
        ]
    )
    def serving_default(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {"y": self.factor * inputs["x"], "text": inputs["name"]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "number")])
    def one(self, number: tf.Tensor) -> dict[str, tf.Tensor]:
        checked = tf.debugging.assert_non_negative(number, "numbers must not be negative")
        with tf.control_dependencies([checked]):
            return {"doubled": 2 * number}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "number")])
    def total(self, number: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"total": tf.reduce_sum(number)[tf.newaxis]}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        share = tf.io.parse_example(inputs, {"share": tf.io.FixedLenFeature([], tf.float32)})["share"]
        classes = tf.tile(tf.constant([["no", "yes"]]), [tf.shape(share)[0], 1])
        return {"classes": classes, "scores": tf.stack([1 - share, share], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        counts = tf.io.parse_example(inputs, {"count": tf.io.FixedLenFeature([], tf.int64, 0)})["count"]
        return {"outputs": self.factor * tf.cast(counts, tf.float32)[:, tf.newaxis]}


def write_version(folder: Path, version: int, factor: float = 2.0) -> Path:
    """Writes a Doubling as a version, at once as a push does."""
    path, hidden = folder / str(version), folder / f".{version}"
    model = Doubling(factor)
    names = ("serving_default", "one", "total", "classify", "regress")
    tf.saved_model.save(model, str(hidden), signatures={name: getattr(model, name) for name in names})
    methods = {"classify": tf.saved_model.CLASSIFY_METHOD_NAME, "regress": tf.saved_model.REGRESS_METHOD_NAME}
    set_method_names(str(hidden), methods)
    return hidden.rename(path)


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen
    rest: str
    """URL of the model."""
    grpc: str
    log: Path

    @property
    def base(self) -> str:
        """URL of the server."""
        return self.rest.partition("/v1/")[0]

    @contextmanager
    def stubs(self) -> Iterator[tuple]:
        """TensorFlow Serving's own clients: PredictionService and ModelService."""
        with grpc.insecure_channel(self.grpc) as channel:
            yield (
                prediction_service_pb2_grpc.PredictionServiceStub(channel),
                model_service_pb2_grpc.ModelServiceStub(channel),
            )


@contextmanager
def serving(folder: Path, log: Path, *options: str) -> Iterator[Server]:
    """Runs `hubline serve` on free ports, and ends it at the end of the block."""
    command = [sys.executable, "-m", "hubline.pipeline.cli", "serve", str(folder), "--name", "model", "--json",
               "--rest-port", "0", "--grpc-port", "0", *options]  # fmt: skip
    with log.open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=dict(os.environ))
    try:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline() or "{}")
        assert "rest" in urls, log.read_text()
        yield Server(process, urls["rest"], urls["grpc"], log)
    finally:
        process.terminate()
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
