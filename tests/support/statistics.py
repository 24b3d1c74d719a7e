"""The first artifacts of a run, made from records by Hubline's executors without ingestion."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components.schema_gen.executor import Executor as SchemaGen
from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.types import artifact_utils, standard_artifacts

from hubline.artifacts.column_statistics import ColumnStatistics, read_statistics
from hubline.artifacts.examples import Manifest, Origin, ShardFile
from hubline.artifacts.findings import DataFindings
from hubline.artifacts.splits import SPLITS
from hubline.components.beam import IN_ONE_PROCESS
from hubline.components.data_gate.executor import Executor as DataGate
from hubline.components.example_validator.checks import Checks
from hubline.components.example_validator.executor import Executor as ExampleValidator
from hubline.components.input_artifacts import read_schema
from hubline.components.statistics_gen.executor import Executor as StatisticsGen
from hubline.core.digest import file_digest
from tests.support import example_data


def artifact(kind: Any, folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    made = kind()
    made.uri = str(folder)
    return made


def executor(kind: Any, folder: Path) -> Any:
    return kind(base_executor.BaseExecutor.Context(tmp_dir=f"{folder}/tmp/", unique_id="1"))


def rows(count: int, **columns: Sequence[Any]) -> list[bytes]:
    """Records with the given values; None is missing."""
    return [
        example_data.record(**{
            name: value.item() if isinstance(value, np.generic) else value
            for name, values in columns.items()
            if (value := values[number]) is not None
        })
        for number in range(count)
    ]  # fmt: skip


def examples(folder: Path, files: Mapping[str, Sequence[Sequence[bytes]]], images: Sequence[str] = ()) -> Any:
    """An Examples artifact: for each split, the records of each of its files, which came from `in/<split>-<number>`."""
    made = artifact(standard_artifacts.Examples, folder / "examples")
    made.split_names = artifact_utils.encode_split_names(list(SPLITS))
    shards = []
    for split, of_split in files.items():
        for number, records in enumerate(of_split):
            path = example_data.write_tfrecord(folder / "examples" / f"Split-{split}" / f"data-{number}", records)
            origins = (Origin(file=f"in/{split}-{number}", count=len(records)),)
            digest = file_digest(str(path))
            shards.append(ShardFile(split=split, name=path.name, origins=origins, largest=0, digest=digest))
    Manifest(shards=tuple(shards), images=tuple(images)).write(made.uri)
    return made


def statistics(folder: Path, files: Mapping[str, Sequence[Sequence[bytes]]], images: Sequence[str] = ()) -> Any:
    """An ExampleStatistics artifact. A split that is not given is the last record of train."""
    whole = {split: files.get(split, [files["train"][-1][-1:]]) for split in SPLITS}
    made = artifact(standard_artifacts.ExampleStatistics, folder / "statistics")
    context = base_beam_executor.BaseBeamExecutor.Context(list(IN_ONE_PROCESS), tmp_dir=f"{folder}/tmp/", unique_id="1")
    StatisticsGen(context).Do(
        {"examples": [examples(folder, whole, images)]},
        {"statistics": [made]},
        {"store": str(folder / "store"), "code": ""},
    )
    return made


def of_train(made: Any) -> dict[str, ColumnStatistics]:
    return read_statistics(f"{made.uri}/Split-train/FeatureStats.pb")


def baseline(made: Any) -> Path:
    """The file with the statistics of train, as `hubline schema --freeze` writes it."""
    return Path(made.uri, "Split-train", "FeatureStats.pb")


def schema_of(folder: Path, made: Any) -> schema_pb2.Schema:
    schema = artifact(standard_artifacts.Schema, folder / "inferred")
    executor(SchemaGen, folder).Do({"statistics": [made]}, {"schema": [schema]}, {"infer_feature_shape": 1})
    return read_schema([schema])


def validate(
    folder: Path, made: Any, checks: Checks, against: Path | None = None, schema: schema_pb2.Schema | None = None
) -> tuple[DataFindings, Any]:
    """ExampleValidator's findings, and its artifact; by default, the schema is inferred from the statistics."""
    baseline_checks = artifact(standard_artifacts.Schema, folder / "schema")
    (folder / "schema" / "schema.pbtxt").write_text(
        text_format.MessageToString(schema if schema is not None else schema_of(folder, made))
    )
    anomalies = artifact(standard_artifacts.ExampleAnomalies, folder / "anomalies")
    digest = file_digest(str(against)) if against else ""
    executor(ExampleValidator, folder).Do(
        {"statistics": [made], "schema": [baseline_checks]},
        {"anomalies": [anomalies]},
        {"checks": checks.to_property(), "baseline": str(against or ""), "baseline_digest": digest},
    )
    return DataFindings.read(anomalies.uri), anomalies


def gate(folder: Path, anomalies: Any) -> None:
    executor(DataGate, folder).Do({"anomalies": [anomalies]}, {}, {})
