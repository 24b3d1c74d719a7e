"""`hubline serve --config`: configurations that the servers' own parsers accept."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2
from typer.testing import CliRunner

from hubline.core.errors import UserError
from hubline.pipeline.cli import app


def printed(folder: object, *options: str) -> str:
    result = CliRunner().invoke(app, ["serve", str(folder), *options, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["config"]


def model_config(text: str) -> Any:
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / 'my "models"' / "digits"
    (folder / "7").mkdir(parents=True)
    (folder / "7" / "saved_model.pb").write_text("")
    return folder


def test_tensorflow_serving(folder: Path) -> None:
    model = model_config(printed(folder, "--config", "tf-serving", "--versions", "latest:2", "--label", "stable=7"))
    assert (model.name, model.base_path, model.model_platform) == ("digits", str(folder), "tensorflow")
    assert model.model_version_policy.latest.num_versions == 2 and dict(model.version_labels) == {"stable": 7}
    model = model_config(printed(folder, "--config", "tf-serving", "--versions", "all"))
    assert model.model_version_policy.WhichOneof("policy_choice") == "all"
    model = model_config(printed(folder / "7", "--config", "tf-serving"))
    assert (model.name, model.base_path) == ("digits", str(folder))
    assert model.model_version_policy.specific.versions == [7]


def test_the_configuration_says_what_labels_need(folder: Path) -> None:
    assert "--allow_version_labels" not in printed(folder, "--config", "tf-serving")
    text = printed(folder, "--config", "tf-serving", "--label", "stable=7")
    assert text.startswith("# Start the server with --allow_version_labels_for_unavailable_models=true.\n")


@pytest.mark.parametrize("kind", ["tf-serving", "docker"])
def test_a_folder_that_no_server_can_serve_is_refused(folder: Path, kind: str) -> None:
    with pytest.raises(UserError, match="digit: there is no such folder"):
        printed(folder.parent / "digit", "--config", kind)
    (folder / "7").rename(folder / "seventh")
    with pytest.raises(UserError, match=r"seventh: servers read .* a folder with a number, such as .*/seventh/1"):
        printed(folder / "seventh", "--config", kind)


def test_docker(folder: Path) -> None:
    words = shlex.split(printed(folder, "--name", "d", "--config", "docker"))
    assert words[words.index("-v") + 1] == f"{folder}:/models/d:ro" and "MODEL_NAME=d" in words
    assert words[-1] == "tensorflow/serving"
    words = shlex.split(printed("gs://bucket/digits", "--config", "docker"))
    assert words[-2:] == ["--model_name=digits", "--model_base_path=gs://bucket/digits"]


def test_kserve(folder: Path) -> None:
    service = yaml.safe_load(printed("gs://bucket/digits", "--config", "kserve"))
    assert service["kind"] == "InferenceService" and service["metadata"]["name"] == "digits"
    assert service["spec"]["predictor"]["model"] == {
        "modelFormat": {"name": "tensorflow"},
        "storageUri": "gs://bucket/digits",
    }
    with pytest.raises(UserError, match="KServe can't read"):
        printed(folder, "--config", "kserve")


def test_what_a_server_cannot_do_is_refused(folder: Path) -> None:
    for kind in ("docker", "kserve"):
        with pytest.raises(UserError, match="serves the newest version only"):
            printed(folder, "--config", kind, "--label", "stable=7")
    for wrong in ("latest:0", "newest", "1,x"):
        with pytest.raises(UserError, match="must be latest, latest:N, all, or numbers"):
            printed(folder, "--config", "tf-serving", "--versions", wrong)
    with pytest.raises(UserError, match="must be LABEL=VERSION"):
        printed(folder, "--config", "tf-serving", "--label", "stable")
