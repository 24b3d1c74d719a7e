"""A compiled package, its steps run as KFP's launcher runs them, beside a run of the same file on this machine."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from ruamel.yaml import YAML
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.kubeflow import launched, pin, step
from pipeline.run import run
from tests import make
from tests.make_launcher import Cluster, Version

IMAGE = "registry.example/hubline@sha256:" + "0" * 64
ON_A_VOLUME = """\
kubeflow:
  state: STATE
  every_step: {volumes: [{claim: work, path: FOLDER}]}
  steps: {Trainer: {gpus: 1, retries: {count: 2}}}
"""
MODULES = {"pipeline.kubeflow.pin": pin.main, "pipeline.kubeflow.step": step.main}


def in_this_process(command: list[str], arguments: list[str]) -> int:
    assert command[:2] == ["python", "-m"]
    return MODULES[command[2]](arguments)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A pipeline file on a volume, which here is the folder it is in."""
    path = make.project(tmp_path_factory.mktemp("cluster"))
    section = ON_A_VOLUME.replace("STATE", f"{path.parent}/state").replace("FOLDER", str(path.parent))
    path.write_text(path.read_text() + section)
    return path


def compiled(path: Path) -> dict[str, Any]:
    package = path.with_name("package.yaml")
    result = CliRunner().invoke(app, ["compile", str(path), "-o", str(package), "--image", IMAGE])
    assert result.exit_code == 0, result.output
    spec, _ = YAML(typ="safe", pure=True).load_all(package.read_text())
    return spec


def digest_of_answers(model: str, folder: Path) -> list[float]:
    """What a model says about every record of the data."""
    records = make.read_tfrecord(folder / "data" / "a.tfrecord")
    answer = tf.saved_model.load(model).signatures["serving_default"](examples=tf.constant(records))
    return answer["scores"].numpy().ravel().tolist()


@pytest.mark.slow
@pytest.mark.parametrize(
    "version", [Version(), Version(executor_logs=True, custom_path=True)], ids=["KFP 2.0", "KFP 2.15"]
)
def test_the_whole_graph_runs_on_what_the_launcher_gives(project: Path, tmp_path: Path, monkeypatch, version) -> None:
    monkeypatch.setattr(launched, "_MOUNTED", {"minio://": f"{tmp_path}/minio/"})
    cluster = Cluster("minio://bucket/runs/1", version, in_this_process)
    form = {"overrides": {"serving.destination": f"{tmp_path}/serving"}}
    cluster.run(compiled(project), form)

    (pushed,) = cluster.done["pusher"]["artifacts"]["pushed_model"]["artifacts"]
    assert pushed["uri"] == "minio://bucket/runs/1/pusher/pushed_model"
    assert pushed["metadata"]["pushed"] == 1 and pushed["metadata"]["pushed_destination"] == f"{tmp_path}/serving/1"
    assert "executor-logs" not in cluster.done["trainer"].get("parameterValues", {})

    here = tmp_path / "here"
    path = project.with_name("here.yaml")
    path.write_text(project.read_text().replace("destination: serving", f"destination: {here}"))
    result, code = run(path, tmp_path / "root", quiet=True)
    assert code == 0, result.error
    assert digest_of_answers(f"{tmp_path}/serving/1", project.parent) == pytest.approx(
        digest_of_answers(f"{here}/1", project.parent), abs=1e-6
    )


def test_the_form_changes_what_steps_are_told(project: Path, tmp_path: Path) -> None:
    spec = compiled(project)
    fields = spec["root"]["inputDefinitions"]["parameters"]
    assert {"data_examples", "epochs", "batch_size", "learning_rate", "hub_mean", "push", "overrides"} <= fields.keys()
    assert all(each["description"] and "defaultValue" in each for each in fields.values())
    container = spec["deploymentSpec"]["executors"]["exec-pin"]["container"]
    values, steps = (json.loads(each) for each in container["args"][:2])
    before = pin.properties(values, steps, {})
    after = pin.properties(values, steps, {"epochs": 3.0, "learning_rate": 0.5, "overrides": {"training.seed": 7.0}})
    assert {name for name in before if before[name] != after[name]} == {"trainer"}
    told = json.loads(json.loads(after["trainer"])["training"])
    assert (told["epochs"], told["optimizer"]["learning_rate"], told["seed"]) == (3, 0.5, 7)
    assert before == pin.properties(values, steps, {}), "the backend's cache answers for what has not changed"

    file = project.parent / "data" / "a.tfrecord"
    os.utime(file, ns=(1, 1))
    assert {name for name, each in pin.properties(values, steps, {}).items() if each != before[name]} == {"examplegen"}


def test_a_mistake_in_the_form_is_named_and_the_step_fails(project: Path, tmp_path: Path, capsys) -> None:
    values, steps = compiled(project)["deploymentSpec"]["executors"]["exec-pin"]["container"]["args"][:2]
    handed = {
        "inputs": {"parameterValues": {"epochs": 0.0, "overrides": {"training.sed": 1.0}}},
        "outputs": {"outputFile": f"{tmp_path}/out.json"},
    }
    assert pin.main([values, steps, json.dumps(handed)]) == 1
    said = capsys.readouterr().err
    assert "epochs: " in said and "overrides.training.sed: unknown key; did you mean 'seed'?" in said
    assert not (tmp_path / "out.json").exists()
