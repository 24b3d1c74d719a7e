"""Hubline's contestants: run a pipeline file as `hubline run` does, and measure its steps."""

import logging
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.harness import StepWatch, newest
from hubline.core.progress import LOGGER
from hubline.core.shard_dataset import read_records
from hubline.pipeline import run as hubline
from hubline.pipeline.init.command import init
from hubline.pipeline.load import load
from hubline.pipeline.result import Step
from hubline.preprocessing.feature_columns import input_columns


def run(file: str, root: str, until: str | None = None) -> dict[str, Any]:
    """Runs a pipeline file.

    Args:
        file: The pipeline file.
        root: Folder of the pipeline's files.
        until: The step to stop after, as if the run were interrupted there.

    Raises:
        RuntimeError: if the run fails.
    """
    steps = StepWatch()

    class Watch:
        def planned(self, steps: list[str]) -> None:
            """Nothing is measured before the first step."""

        def started(self, step: str) -> None:
            steps.started()

        def finished(self, step: Step) -> None:
            steps.finished(step.id, step.cached)
            if step.id == until:
                raise KeyboardInterrupt

    result, _ = hubline.run(Path(file), Path(root), quiet=True, listener=Watch())
    if result.status not in ("succeeded", "interrupted" if until else "succeeded"):
        raise RuntimeError(f"{result.status}: {result.error}; {result.log}")
    return {"steps": steps.steps, "figures": dict(result.metrics)}


def suggest(data: str, label: str, file: str, backbone: str | None = None) -> None:
    """Writes a pipeline file for a table, or for a folder of images per class, with `hubline init`."""
    init(data, label, None, Path(file), overwrite=True, console=Console(quiet=True), backbone=backbone)


def train(file: str, root: str) -> dict[str, Any]:
    """Runs a pipeline file of one epoch up to its Trainer, and listens to the reported progress.

    Returns:
        The steps, and the figure `rate`: examples per second.
    """
    progress = _Progress()
    LOGGER.addHandler(progress)
    try:
        answer = run(file, root, until="Trainer")
    finally:
        LOGGER.removeHandler(progress)
    return answer | {"figures": {"rate": progress.rate}}


class _Progress(logging.Handler):
    """Records the times at which a training reports its progress within the epoch."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._reports: list[tuple[float, float]] = []

    def emit(self, record: logging.LogRecord) -> None:
        progress = getattr(record, "progress", {})
        # the last report follows the validation split
        if "loss" in progress.get("values", {}) and progress["done"] < progress["total"]:
            self._reports.append((time.monotonic(), progress["done"]))

    @property
    def rate(self) -> float:
        """Examples per second; the first quarter of the reports is ignored, as in `bare.rate`."""
        counted = self._reports[len(self._reports) // 4 :]
        (begin, first), (end, last) = counted[0], counted[-1]
        return (last - first) / (end - begin)


def preprocess(file: str, root: str) -> dict[str, Any]:
    """Runs a pipeline file without hub modules up to its Transform, and reads all records through the transform graph.

    Returns:
        The steps, and the figure `one pass`: the seconds for reading, parsing and transforming every record once.
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
    rows = read_records(files).map(lambda row: {inputs.ROW: row})
    for _ in inputs.batches(rows, 1024, parse):
        pass
    return answer | {"figures": {"one pass": time.monotonic() - begin}}
