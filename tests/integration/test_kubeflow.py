"""A compiled package, run as KFP's launcher would, compared with a run of the same file on this machine."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts import file_list
from hubline.components.pin.snapshot import pin_files
from hubline.core import storage
from hubline.pipeline.kubeflow import executor_io, pin
from hubline.pipeline.kubeflow.exec_properties import taken
from hubline.pipeline.load import load
from hubline.pipeline.run import run
from tests.support import example_data
from tests.support.compiled import compiled, in_this_process
from tests.support.launcher import Cluster, Version
from tests.support.project import make_project

ON_A_VOLUME = """\
kubeflow:
  state: STATE
  every_step: {volumes: [{claim: work, path: FOLDER}, {claim: others, path: TMP}]}
  steps: {Trainer: {gpus: 1, retries: {count: 2}}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A pipeline file on a volume, which here is its own folder."""
    path = make_project(tmp_path_factory.mktemp("cluster"))
    section = ON_A_VOLUME.replace("STATE", f"{path.parent}/state").replace("FOLDER", str(path.parent))
    section = section.replace("TMP", str(tmp_path_factory.getbasetemp()))
    path.write_text(path.read_text() + section)
    return path


def answers(model: str, folder: Path) -> list[float]:
    """A model's predictions for every record of the data."""
    records = example_data.read_tfrecord(folder / "data" / "a.tfrecord")
    answer = tf.saved_model.load(model).signatures["serving_default"](examples=tf.constant(records))
    return answer["scores"].numpy().ravel().tolist()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    """The newest Kubeflow Pipelines, before any run."""
    folder = tmp_path_factory.mktemp("kfp")
    cluster = Cluster(folder, Version(executor_logs=True, custom_path=True), in_this_process)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor_io, "MOUNTED", {"minio://": f"{cluster.mounted}/"})
        yield cluster


@pytest.fixture(scope="module")
def spec(project: Path) -> dict[str, Any]:
    return compiled(project)


@pytest.fixture(scope="module")
def ran(spec: dict[str, Any], cluster: Cluster) -> Cluster:
    """After a run of the whole graph."""
    cluster.run(spec, to(cluster.folder / "serving"))
    assert not cluster.failed
    return cluster


def to(serving: Path, **overrides: Any) -> dict[str, Any]:
    return {"overrides": {"serving.destination": str(serving), **overrides}}


@pytest.mark.slow
def test_the_whole_graph_makes_the_model_of_a_run_here(project: Path, ran: Cluster, tmp_path: Path) -> None:
    pushed = ran.metadata("pusher", "pushed_model")
    assert (pushed["pushed"], pushed["pushed_destination"]) == (1, f"{ran.folder}/serving/1")
    path = project.with_name("here.yaml")
    path.write_text(project.read_text().replace("destination: serving", f"destination: {tmp_path}/serving"))
    result, code = run(path, tmp_path / "root", quiet=True)
    assert code == 0, result.error
    models = (f"{ran.folder}/serving/1", f"{tmp_path}/serving/1")
    on_cluster, here = (answers(model, project.parent) for model in models)
    assert on_cluster == pytest.approx(here, abs=1e-6)
    constants = {f"{name}_of_baseline": result.decision.baseline.metrics[name] for name in result.metrics}
    expected = {"display_name": "Metrics, test split", "blessed": 1.0, **result.metrics, **constants}
    assert ran.metadata("dashboard", "metrics") == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_the_dashboard_has_what_it_draws(spec: dict[str, Any], ran: Cluster) -> None:
    outputs = spec["components"]["comp-dashboard"]["outputDefinitions"]["artifacts"]
    assert {name: output["artifactType"]["schemaTitle"] for name, output in outputs.items()} == {
        "metrics": "system.Metrics",
        "classes": "system.ClassificationMetrics",
        "decision": "system.Markdown",
        "report": "system.HTML",
    }
    classes = ran.metadata("dashboard", "classes")
    matrix = np.array([row["row"] for row in classes["confusionMatrix"]["rows"]])
    assert matrix.trace() / matrix.sum() == pytest.approx(ran.metadata("dashboard", "metrics")["accuracy"])
    assert [each["displayName"] for each in classes["confusionMatrix"]["annotationSpecs"]] == ["dark", "light"]
    points = classes["confidenceMetrics"]
    assert (points[0]["recall"], points[-1]["recall"], points[-1]["falsePositiveRate"]) == (0.0, 1.0, 1.0)
    assert classes["display_name"] == "Confusion matrix and ROC curve (class light), test split"
    for output in ("metrics", "classes"):  # a folder there would be shown as an error
        previewed = ran.stored("dashboard", output).read_bytes()
        assert 0 < len(previewed) <= 255
    decision = ran.stored("dashboard", "decision").read_text()
    assert decision.startswith("## Blessed\n") and "| cross\\_entropy | " in decision
    assert "**Pushed** as version 1" in ran.stored("pusher", "outcome").read_text()
    page = ran.stored("dashboard", "report").read_text()
    assert '<html lang="en" data-scheme="light">' in page and '<span class="pill good">blessed</span></h1>' in page
    assert page.startswith("<!DOCTYPE html>") and "blessed" in page


@pytest.mark.slow
def test_a_run_that_is_not_blessed_is_red_and_the_dashboard_tells_why(
    spec: dict[str, Any], ran: Cluster, tmp_path: Path, capsys
) -> None:
    cluster = replace(ran, done=dict(ran.done))
    form = to(tmp_path / "serving", **{"evaluation.thresholds.cross_entropy.at_most": 0.0})
    cluster.run(spec, form, only=["pin", "evaluator", "pusher", "dashboard"])
    assert cluster.failed == ["pusher"] and not (tmp_path / "serving").exists()
    assert "not blessed" in (said := capsys.readouterr().err) and "cross_entropy" in said
    assert cluster.metadata("dashboard", "metrics")["blessed"] == 0.0
    assert "must be at most 0.0" in cluster.stored("dashboard", "report").read_text()


@pytest.mark.slow
def test_a_run_need_not_push(spec: dict[str, Any], ran: Cluster, tmp_path: Path) -> None:
    cluster = replace(ran, done=dict(ran.done))
    cluster.run(spec, {"push": False, **to(tmp_path / "serving")}, only=["pin", "pusher"])
    assert not cluster.failed and cluster.metadata("pusher", "pushed_model") == {"pushed": 0}
    assert not (tmp_path / "serving").exists()


DATA_STEPS = {"examplegen", "statisticsgen", "schemagen", "examplevalidator", "datagate", "parsingschema"}


@pytest.fixture(scope="module")
def alone(project: Path, cluster: Cluster) -> Cluster:
    """After the data steps, each in its own pod, with the oldest launcher, which provides less."""
    path = project.with_name("alone.yaml")
    path.write_text(project.read_text() + "  join: {}\n")
    older = replace(cluster, version=Version(), done={}, failed=[])
    older.run(compiled(path), {}, only={"pin", *DATA_STEPS})
    assert set(older.done) == {"pin", *DATA_STEPS} and not older.failed
    return older


@pytest.mark.slow
def test_steps_that_share_a_pod_make_what_they_make_alone(ran: Cluster, alone: Cluster) -> None:
    assert not DATA_STEPS & ran.done.keys()
    made = {pod: ran.done[pod]["artifacts"] for pod in ("data", "datachecks")}
    steps = {
        (pod, name): each["artifacts"][0]["metadata"]["step"]
        for pod, artifacts in made.items()
        for name, each in artifacts.items()
        if name != "executor-logs"
    }
    assert steps == {
        ("data", "examplegen_examples"): "ExampleGen",
        ("data", "statisticsgen_statistics"): "StatisticsGen",
        ("data", "schemagen_schema"): "SchemaGen",
        ("data", "parsingschema_parsing_schema"): "ParsingSchema",
        ("datachecks", "examplevalidator_anomalies"): "ExampleValidator",
    }
    for pod, name in steps:
        task, _, output = name.partition("_")
        assert contents(ran.stored(pod, name)) == contents(alone.stored(task, output)), name


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.both_stacks
def test_the_form_changes_what_steps_are_told(project: Path, spec: dict[str, Any]) -> None:
    fields = spec["root"]["inputDefinitions"]["parameters"]
    assert {"data_examples", "epochs", "batch_size", "learning_rate", "hub_mean", "push", "overrides"} <= fields.keys()
    assert all(each["description"] and "defaultValue" in each for each in fields.values())
    container = spec["deploymentSpec"]["executors"]["exec-pin"]["container"]
    values, steps = (json.loads(each) for each in container["args"][:2])
    before = pin.properties(values, steps, {})
    after = pin.properties(values, steps, {"epochs": 3.0, "learning_rate": 0.5, "overrides": {"training.seed": 7.0}})
    assert {name for name in before if before[name] != after[name]} == {"trainer", "pusher"}  # its card
    told = json.loads(taken(after["trainer"])["training"])
    assert (told["epochs"], told["optimizer"]["learning_rate"], told["seed"]) == (3, 0.5, 7)
    assert before == pin.properties(values, steps, {}), "the backend's cache answers for what has not changed"

    file = project.parent / "data" / "a.tfrecord"
    told = taken(before["examplegen"])
    assert len(told["files"]) == 64, "a list of any length is handed over by its digest"
    assert file_list.read(told["files"], told["pins"]) == pin_files(load(project)[0].data)
    os.utime(file, ns=(1, 1))
    killed = [project.parent / "state" / "store" / path for path in (".making/key.attempt", "key/attempt/rows")]
    for path in killed:
        storage.write_text(str(path), "half")
        os.utime(path, ns=(1, 1))
    assert {name for name, each in pin.properties(values, steps, {}).items() if each != before[name]} == {"examplegen"}
    assert not any(path.exists() for path in killed), "what was cut short days ago is swept"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"epochs": 0.0, "overrides": {"training.sed": 1.0}},
            ["epochs: ", "overrides.training.sed: unknown key; did you mean 'seed'?"],
        ),
        (
            {"overrides": {"serving.destination": "elsewhere"}},
            ["overrides.serving.destination: elsewhere: relative, and not on the cluster"],
        ),
        ({"data_examples": "/elsewhere/*"}, ["data_examples: /elsewhere/*: on this machine, and not on the cluster"]),
        ({"overrides": {"hubs.mean.inputs": {"images": "picture"}}}, ["overrides.hubs.mean.inputs", "'picture'"]),
    ],
)
def test_a_mistake_in_the_form_is_named_and_the_step_fails(
    spec: dict[str, Any], tmp_path: Path, capsys, given: dict[str, Any], said: list[str]
) -> None:
    values, steps = spec["deploymentSpec"]["executors"]["exec-pin"]["container"]["args"][:2]
    handed = {"inputs": {"parameterValues": given}, "outputs": {"outputFile": f"{tmp_path}/out.json"}}
    assert pin.main([values, steps, json.dumps(handed)]) == 1
    errors = capsys.readouterr().err
    assert all(each in errors for each in said), errors
    assert not (tmp_path / "out.json").exists()
