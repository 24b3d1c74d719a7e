"""The section and the step KServe: errors in the file, and the folders that TensorFlow Serving reads."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils, standard_artifacts

from hubline.artifacts.delivery import DESTINATION, VERSION
from hubline.components.kserve.executor import Executor
from hubline.core.digest import tree_digest
from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.kubeflow.check import check
from hubline.pipeline.kubeflow.pipeline_spec import package
from hubline.pipeline.load import load
from tests.support import model as make_model
from tests.support.kserve import config, predictor
from tests.support.kubernetes_api import KubernetesApi

FILE = """\
name: taxi
data: {examples: gs://bucket/data/*}
features: {miles: {kind: numeric}}
label: {from: tips, kind: binary}
training: {epochs: 1, batch_size: 8}
serving:
  destination: gs://bucket/serving
  kserve: {name: taxi, namespace: models, KSERVE}
"""


@pytest.mark.parametrize(
    ("said", "key", "message"),
    [
        (
            "models: gs://b/m, mode: raw, canary_percent: 10",
            ".canary_percent",
            "KServe can't split traffic between versions in raw mode",
        ),
        ("models: gs://b/m, canary_percent: 100", ".canary_percent", "less than or equal to 99"),
        (
            "models: models",
            "",
            "storage_uri is missing: KServe reads .*/models from another machine; .* pvc://CLAIM/FOLDER",
        ),
        ("models: models, storage_uri: claim/models", ".storage_uri", "pvc://models/taxi-tips"),
        ("models: gs://b/m, mode: knative", ".mode", "known here: serverless, raw"),
    ],
)
def test_a_mistake_in_the_file_is_told_at_its_line(tmp_path: Path, said: str, key: str, message: str) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(FILE.replace("KSERVE", said))
    with pytest.raises(PipelineFileError) as caught:
        load(path)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.key, diagnostic.line) == (f"serving.kserve{key}", 8)
    assert re.search(message, diagnostic.message), diagnostic.message


@pytest.mark.slow
def test_the_step_is_there_where_the_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(FILE.partition("  kserve")[0])
    spec, _ = package(load(path)[0], "image")
    assert "kserve" not in spec["root"]["dag"]["tasks"]
    path.write_text(FILE.replace("KSERVE", "models: gs://b/m"))
    spec, platform = package(load(path)[0], "image")
    check(spec, platform)  # as Kubeflow Pipelines does
    (given,) = spec["root"]["dag"]["tasks"]["kserve"]["inputs"]["artifacts"].values()
    assert given == {"taskOutputArtifact": {"producerTask": "pusher", "outputArtifactKey": "pushed_model"}}


def run_step(folder: Path, pushed: Path | None, **values: Any) -> dict[str, Any]:
    given, made = standard_artifacts.PushedModel(), standard_artifacts.PushedModel()
    if pushed:
        given.set_string_custom_property(DESTINATION, str(pushed))
        given.set_string_custom_property(VERSION, pushed.name)
    service = config(models=f"{folder}/models", storage_uri="pvc://work/models", **values)
    Executor(base_executor.BaseExecutor.Context(tmp_dir=str(folder), unique_id="1")).Do(
        {"pushed_model": [given]}, {"inference_service": [made]}, {"service": service.to_property()}
    )
    names = ("storage_uri", "url", "revision")
    told = {name: artifact_utils.get_single_instance([made]).get_string_custom_property(name) for name in names}
    return told | {"percent": made.get_int_custom_property("percent")}


def test_the_step_gives_each_version_a_folder_that_tensorflow_serving_reads(
    cluster: KubernetesApi, tmp_path: Path
) -> None:
    version = make_model.served(tmp_path / "serving") / "1"
    folder = f"1-{tree_digest(str(version))[:12]}"
    told = run_step(tmp_path, version)
    assert told == {
        "storage_uri": f"pvc://work/models/{folder}",
        "url": "http://taxi.models.example",
        "revision": "taxi-predictor-00001",
        "percent": 100,
    }
    assert predictor(cluster)["model"]["storageUri"] == told["storage_uri"]
    assert run_step(tmp_path, version) == told, "and is there already when it runs again"
    models = tmp_path / "models"
    assert sorted(path.name for path in models.iterdir()) == [folder, "models.taxi.json"]
    assert [path.name for path in (models / folder).iterdir()] == ["1"]
    answers = tf.saved_model.load(str(models / folder / "1")).signatures["predict"]
    assert answers(x=tf.constant([-9.0]), word=tf.constant(["a"]))["label"].numpy().tolist() == [b"low"]


def test_a_serving_folder_that_begins_anew_does_not_pass_for_the_old_one(
    cluster: KubernetesApi, tmp_path: Path
) -> None:
    version = tmp_path / "serving" / "1"
    version.mkdir(parents=True)
    uris = []
    for content in ("old", "new"):
        (version / "saved_model.pb").write_text(content)
        uris.append(run_step(tmp_path, version)["storage_uri"])
    assert len(set(uris)) == 2
    assert cluster.shares[-1] == {uris[1]: 100}


def test_a_copy_that_was_cut_short_is_made_whole(cluster: KubernetesApi, tmp_path: Path) -> None:
    version = tmp_path / "serving" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_text("model")
    parent = tmp_path / "models" / f"1-{tree_digest(str(version))[:12]}"
    (parent / ".incoming-killed").mkdir(parents=True)
    os.utime(parent / ".incoming-killed", (0, 0))
    run_step(tmp_path, version)
    assert [path.name for path in parent.iterdir()] == ["1"]
    assert tree_digest(str(parent / "1")) == tree_digest(str(version))


def test_where_nothing_was_ever_pushed_nothing_is_done(cluster: KubernetesApi, tmp_path: Path) -> None:
    assert run_step(tmp_path, None)["storage_uri"] == ""
    assert cluster.calls == []
    assert not (tmp_path / "models").exists()


def test_models_that_cannot_be_written_are_told(cluster: KubernetesApi, tmp_path: Path) -> None:
    version = tmp_path / "serving" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_text("model")
    (tmp_path / "models").write_text("a file")
    with pytest.raises(UserError, match=r"models/1-.*/1: the model is not writable: Not a directory"):
        run_step(tmp_path, version)
    assert cluster.services == {}
