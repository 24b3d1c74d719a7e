"""Hubline's side: a pipeline file, run as `hubline run` runs it, with its steps taken down."""

import time
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.harness import StepWatch, newest
from hubline.pipeline import run as hubline
from hubline.pipeline.display import Display
from hubline.pipeline.load import load
from hubline.pipeline.result import Step
from hubline.preprocessing.config import input_columns


def run(file: str, root: str, until: str | None = None) -> dict[str, Any]:
    """Runs a pipeline file.

    Args:
        file: The pipeline file.
        root: Where the pipeline keeps what it makes.
        until: The step to stop after, as if the run were interrupted there.

    Raises:
        RuntimeError: where the run fails.
    """
    steps = StepWatch()

    class Watched(Display):
        def started(self, step: str) -> None:
            super().started(step)
            steps.started()

        def finished(self, step: Step) -> None:
            super().finished(step)
            steps.finished(step.id, step.cached)
            if step.id == until:
                raise KeyboardInterrupt

    with mock.patch.object(hubline, "Display", Watched):
        result, _ = hubline.run(Path(file), Path(root), quiet=True)
    if result.status not in ("succeeded", "interrupted" if until else "succeeded"):
        raise RuntimeError(f"{result.status}: {result.error}; {result.log}")
    return {"steps": steps.steps, "figures": dict(result.metrics)}


def train(file: str, root: str) -> dict[str, Any]:
    """Runs a pipeline file of one epoch until its Trainer is done, and listens to the batches that go by.

    Returns:
        Beside the steps the figure `rate`: examples a second.
    """
    import tensorflow as tf

    from benchmarks.bare import rate

    ends: list[float] = []

    class Clock(tf.keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            ends.append(time.monotonic())

    fit = tf.keras.Model.fit

    def timed(self: tf.keras.Model, *args: Any, callbacks: Any = (), **options: Any) -> Any:
        return fit(self, *args, callbacks=[*callbacks, Clock()], **options)

    with mock.patch.object(tf.keras.Model, "fit", timed):
        answer = run(file, root, until="Trainer")
    return answer | {"figures": {"rate": rate(ends, load(Path(file))[0].training.batch_size)}}


def preprocess(file: str, root: str) -> dict[str, Any]:
    """Runs a pipeline file without hub modules until its Transform is done, and reads all records through it.

    Returns:
        Beside the steps the figure `one pass`: the seconds of reading, parsing and transforming every record once.
    """
    answer = run(file, root, until="Transform")

    import tensorflow_transform as tft
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform.tf_metadata import schema_utils

    from hubline.trainer import inputs

    config, _ = load(Path(file))
    begin = time.monotonic()
    transform = tft.TFTransformOutput(str(newest(root, "Transform", "transform_graph")))
    schema = text_format.Parse(
        (newest(root, "ParsingSchema", "parsing_schema") / "schema.pbtxt").read_text(), schema_pb2.Schema()
    )
    spec = {
        column: each
        for column, each in schema_utils.schema_as_feature_spec(schema).feature_spec.items()
        if column in {*input_columns(config.features), *config.label.columns}
    }
    files = sorted(map(str, newest(root, "ExampleGen", "examples").glob("Split-*/*")))
    names = [name for feature in config.features for name in config.features[feature].inputs(feature)]
    parse = inputs.parsing(spec, transform.transform_features_layer(), names)
    rows = inputs.read_records(files).map(lambda row: {inputs.ROW: row})
    for _ in inputs.batches(rows, 1024, parse):
        pass
    return answer | {"figures": {"one pass": time.monotonic() - begin}}
