"""Runs the stock pipeline with TFX's LocalDagRunner and measures its steps."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.orchestration import metadata

from benchmarks.harness import StepWatch, newest
from benchmarks.stock.pipeline import create_pipeline, evaluation_pipeline
from hubline.pipeline.adapters.tfx import run_locally
from hubline.pipeline.load import load


class _Enough(Exception):
    """The run reached the requested step."""


def run(file: str, root: str, records: int, until: str | None = None, mended: bool = False) -> dict[str, Any]:
    """Performs the job of a pipeline file with stock TFX.

    Args:
        file: The pipeline file.
        root: Folder for artifacts, metadata and the pushed model.
        records: Number of records.
        until: The step to stop after.
        mended: Whether to exclude Keras from AutoGraph, which TensorFlow 2.16 doesn't do and no template mentions.
    """
    if mended:
        from hubline.trainer.autograph import leave_libraries_alone

        leave_libraries_alone()
    config, _ = load(Path(file))
    return run_pipeline(create_pipeline(config, Path(root), Path(root) / "serving", records), until)


def evaluate(file: str, root: str, trained: str) -> dict[str, Any]:
    """Runs the stock Evaluator alone, on the artifacts of a run of Hubline in the root `trained`."""
    config, _ = load(Path(file))
    examples, model = newest(trained, "ExampleGen", "examples"), newest(trained, "Trainer", "model")
    return run_pipeline(evaluation_pipeline(config, Path(root), examples, model))


def run_pipeline(pipeline: tfx.dsl.Pipeline, until: str | None = None) -> dict[str, Any]:
    """Runs a pipeline, at most up to the step `until`, and measures its steps."""
    steps = StepWatch()

    def around_step(name: str, launch: Callable[[], Any]) -> Any:
        steps.started()
        execution = launch()
        steps.finished(name, cached=_state(pipeline, execution) == metadata_store_pb2.Execution.CACHED)
        if name == until:
            raise _Enough
        return execution

    with suppress(_Enough):
        run_locally(pipeline, around_step)
    return {"steps": steps.steps}


def _state(pipeline: tfx.dsl.Pipeline, execution: Any) -> int:
    with metadata.Metadata(pipeline.metadata_connection_config) as connection:
        return connection.store.get_executions_by_id([execution.execution_id])[0].last_known_state
