"""Input of a step from KFP's launcher, and the step's output."""

import json
from pathlib import Path
from typing import Any

import pytest
from tfx.types import artifact, standard_artifacts

from hubline.pipeline.kubeflow.executor_io import ExecutorInput, local

EXAMPLES = "tfx.types.standard_artifacts.Examples"
OWN = "tests.unit.test_executor_io.Own"


class Own(artifact.Artifact):
    """An artifact with a property of each type."""

    TYPE_NAME = "tests.Own"
    PROPERTIES = {
        "count": artifact.Property(artifact.PropertyType.INT),
        "share": artifact.Property(artifact.PropertyType.FLOAT),
        "word": artifact.Property(artifact.PropertyType.STRING),
        "shape": artifact.Property(artifact.PropertyType.JSON_VALUE),
    }


def launched(folder: Path, **inputs: Any) -> ExecutorInput:
    """The newest launcher's JSON: with a log as an output, custom paths of artifacts, and unknown keys."""
    uri = f"{folder}/out"
    given: dict[str, Any] = {
        "inputs": {"parameterValues": {"properties": "{}"}, "artifacts": inputs, "later": 1},
        "outputs": {
            "outputFile": f"{folder}/deep/executor_output.json",
            "parameters": {},
            "artifacts": {
                "made": {
                    "artifacts": [{"name": "made", "uri": uri, "type": {"schemaTitle": "tests.Own"}, "customPath": uri}]
                },
                "executor-logs": {"artifacts": [{"uri": f"{folder}/log", "type": {"schemaTitle": "system.Artifact"}}]},
            },
        },
        "newer": {},
    }
    return ExecutorInput.model_validate_json(json.dumps(given))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("gs://bucket/a/b", "/gcs/bucket/a/b"),
        ("s3://bucket/a/b", "/s3/bucket/a/b"),
        ("minio://mlpipeline/v2/artifacts/x", "/minio/mlpipeline/v2/artifacts/x"),
        ("/mnt/runs/x", "/mnt/runs/x"),
    ],
)
def test_what_the_launcher_downloads_is_where_it_puts_it(uri: str, path: str) -> None:
    assert local(uri) == path


def given(**metadata: Any) -> dict[str, Any]:
    return {"artifacts": [{"name": "7", "uri": "minio://b/x", "type": {"instanceSchema": ""}, "metadata": metadata}]}


def test_properties_come_back_as_they_went(tmp_path: Path) -> None:
    made = Own()
    made.count, made.share, made.word, made.shape = 3, 0.5, "six", {"height": [1, 2]}
    made.set_int_custom_property("pushed", 1)
    made.set_string_custom_property("where", "here")
    launched(tmp_path).finish({"made": [made]})
    told = json.loads((tmp_path / "deep" / "executor_output.json").read_text())["artifacts"]["made"]["artifacts"][0]
    assert told["uri"] == f"{tmp_path}/out"

    from_database = {
        name: float(value) if isinstance(value, int) else value for name, value in told["metadata"].items()
    }
    inputs, _ = launched(tmp_path, taken=given(**from_database)).artifacts({"taken": OWN, "made": OWN})
    ((back,),) = inputs.values()
    assert (back.uri, back.count, back.share, back.word, back.shape) == (
        "/minio/b/x",
        3,
        0.5,
        "six",
        {"height": [1, 2]},
    )
    assert isinstance(back.count, int) and back.get_int_custom_property("pushed") == 1
    assert back.get_string_custom_property("where") == "here"


def test_a_type_that_came_back_without_its_schema_is_known_by_what_the_package_says(tmp_path: Path) -> None:
    inputs, outputs = launched(tmp_path, examples=given(split_names='["train"]')).artifacts(
        {"examples": EXAMPLES, "made": OWN}
    )
    assert isinstance(inputs["examples"][0], standard_artifacts.Examples)
    assert inputs["examples"][0].split_names == '["train"]'
    assert set(outputs) == {"made"} and (tmp_path / "out").is_dir(), "the launcher makes no folder, and keeps its log"


def test_workers_elsewhere_get_the_uris_themselves(tmp_path: Path) -> None:
    inputs, _ = launched(tmp_path, examples=given()).artifacts({"examples": EXAMPLES, "made": OWN}, as_they_are=True)
    assert inputs["examples"][0].uri == "minio://b/x"
