"""What is sent to workers for each shard stays small, however many columns, features or classes a pipeline has."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts

from hubline.components.config.data import Data
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.executor import Executor as ExampleGen
from hubline.components.spread.stage import Stage
from hubline.components.statistics_gen.executor import Executor as StatisticsGen
from hubline.components.transform.executor import Executor as Transform
from tests.support import example_data, executors, statistics

COLUMNS = [f"a_rather_long_name_of_a_column_{number:04d}" for number in range(500)]
MOST = 1024
"""Bytes of a task: 100,000 of them are sent in 100 MB."""


def size_of_task(stage: Stage[Any]) -> int:
    """Bytes of a task. What all tasks share is larger, and part of the stage."""
    assert len(pickle.dumps(stage.fill)) > 10 * MOST
    assert len(stage.tasks) == 2 and stage.tasks[0].key != stage.tasks[1].key
    return max(len(pickle.dumps(task)) for task in stage.tasks)


@pytest.fixture
def examples(tmp_path: Path) -> Mapping[str, list[Any]]:
    files = {"train": [[example_data.record(x=1.0)], [example_data.record(x=2.0)]]}
    return {"examples": [statistics.examples(tmp_path, files, images=COLUMNS)]}


def test_statistics(tmp_path: Path, examples: Mapping[str, list[Any]]) -> None:
    stage = executors.beam_executor(StatisticsGen, tmp_path).stage(examples, {"store": str(tmp_path / "store")})
    assert size_of_task(stage) < MOST


def test_analysis(tmp_path: Path, examples: Mapping[str, list[Any]]) -> None:
    artifact = executors.artifact(standard_artifacts.Schema, tmp_path / "schema")
    columns = [schema_pb2.Feature(name=name, type=schema_pb2.FLOAT) for name in COLUMNS]
    (tmp_path / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(schema_pb2.Schema(feature=columns)))
    config = {
        "features": {name: {"kind": "numeric", "normalize": "z_score"} for name in COLUMNS},
        "label": {"kind": "class", "from": COLUMNS[0]},
    }
    properties = {"store": str(tmp_path / "store"), "config": json.dumps(config)}
    stage = executors.beam_executor(Transform, tmp_path).stage({**examples, "schema": [artifact]}, properties)
    assert size_of_task(stage) < MOST


def test_ingestion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        example_data.write_tfrecord(tmp_path / "data" / f"{number}", [example_data.record(x=float(number))])
    stages: list[Stage[Any]] = []

    class Seen(Exception):
        pass

    def see(_: ExampleGen, stage: Stage[Any]) -> None:
        stages.append(stage)
        raise Seen

    monkeypatch.setattr(ExampleGen, "run_stage", see)
    contract = Contract(images=(), label="x", classes=tuple(COLUMNS))
    for data in (Data(examples=f"{tmp_path}/data"), Data(examples=f"{tmp_path}/data", take={"records": 1})):
        with pytest.raises(Seen):
            executors.ingest(tmp_path / "run", data, contract=contract)
    assert [stage.name for stage in stages] == ["examples", "hashes"]
    assert all(size_of_task(stage) < MOST for stage in stages)
