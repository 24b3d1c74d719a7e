"""`hubline submit` with kfp's client: run parameters, and what is shown during a run."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hubline.core.errors import RunError, UserError
from hubline.pipeline.kubeflow import run_parameters, watch
from hubline.pipeline.kubeflow.api import Client
from hubline.pipeline.kubeflow.parameter_definitions import offered
from hubline.pipeline.kubeflow.submit import submit
from tests.support.kfp_api import Fault, KfpApi
from tests.support.kfp_client import STEPS, Heard, file_of, package_of

# Runs


def test_a_run_is_submitted_with_its_parameters(client: Client, api: KfpApi, tmp_path: Path) -> None:
    file = file_of(tmp_path)
    given = run_parameters.of_options(file, ["epochs=3", 'overrides={"training.seed": 7}'], str(tmp_path))
    first = submit(client, file, package_of(tmp_path), given, "trials", "the first")
    second = submit(client, file, package_of(tmp_path), {})
    run = api.runs[first.id]
    assert (run["display_name"], api.experiments[run["experiment_id"]]["display_name"]) == ("the first", "trials")
    assert run["runtime_config"]["parameters"] == {parameter.name: parameter.default for parameter in offered(file)} | {
        "epochs": 3,
        "overrides": {"training.seed": 7},
    }
    assert first.link == f"{api.host}/#/runs/details/{first.id}"
    assert run["pipeline_version_reference"] == api.runs[second.id]["pipeline_version_reference"]
    assert [each["display_name"] for each in api.versions.values()] == ["taxi-tips", "taxi-tips-1"], "uploaded once"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("epoch=3", "epoch: the pipeline has no such parameter; did you mean 'epochs'"),
        ("epochs=3.5", "epochs: takes an integer; got 3.5"),
        ("epochs=true", "epochs: takes an integer; got true"),
        ("epochs=many", 'epochs: takes an integer; got "many"'),
        ("epochs=0", "epochs: .*greater than"),
        ("push=1", "push: takes true or false"),
        ("overrides=3", "overrides: takes a mapping"),
        ('overrides={"training.sed": 3}', "overrides.training.sed: unknown key; did you mean 'seed'"),
        ("epochs", "must be NAME=VALUE"),
    ],
)
def test_a_parameter_that_the_form_has_not_is_refused(tmp_path: Path, text: str, why: str) -> None:
    file = file_of(tmp_path)
    with pytest.raises(UserError, match=f"--parameter {why}" if "=" in text else why):
        run_parameters.of_options(file, [text], str(tmp_path))


def wait(client: Client, api: KfpApi, tmp_path: Path) -> tuple[watch.Outcome, Heard]:
    run, heard = submit(client, file_of(tmp_path), package_of(tmp_path), {}), Heard()
    return watch.wait(client, run.id, STEPS, heard, pause=0.001), heard


def test_waiting_tells_the_state_of_each_step(client: Client, api: KfpApi, tmp_path: Path) -> None:
    done = {"root-driver": "SUCCEEDED", "pin-driver": "SUCCEEDED", "pin": "SUCCEEDED"}
    api.frames["*"] = [
        {"state": "PENDING"},
        {"state": "RUNNING", "tasks": {"root": "RUNNING", "pin-driver": "RUNNING"}},
        {"state": "RUNNING", "tasks": {"pin-driver": "SUCCEEDED", "pin": "RUNNING", "executor": "RUNNING"}},
        {"state": "RUNNING", "tasks": {**done, "trainer-driver": "SUCCEEDED"}},
        {"state": "SUCCEEDED", "tasks": {**done, "trainer-driver": "SUCCEEDED", "trainer": "SUCCEEDED"}},
    ]
    outcome, heard = wait(client, api, tmp_path)
    assert (outcome.state, outcome.failed) == ("SUCCEEDED", {})
    assert [tuple(each.values()) for each in heard.heard] == [
        ("waiting", "waiting"),
        ("starting", "waiting"),
        ("running", "waiting"),
        ("done", "starting"),
        ("done", "done"),
    ]


def test_without_a_log_the_error_is_told(client: Client, api: KfpApi, tmp_path: Path) -> None:
    driver = {"state": "FAILED", "error": "ImagePullBackOff"}
    api.frames["*"] = [{"state": "FAILED", "error": "the pipeline failed", "tasks": {"trainer-driver": driver}}]
    outcome, _ = wait(client, api, tmp_path)
    assert outcome.error == "the pipeline failed"
    assert outcome.failed == {"Trainer": watch.StepFailure("ImagePullBackOff", ())}


@pytest.mark.slow
def test_an_outage_while_waiting_is_sat_out(client: Client, api: KfpApi, tmp_path: Path) -> None:
    api.frames["*"] = [{"state": "SUCCEEDED"}]
    api.faults = [Fault("GET /apis/v2beta1/runs", 503, times=12)]
    outcome, heard = wait(client, api, tmp_path)
    assert outcome.state == "SUCCEEDED" and len(heard.notes) == 2
    api.faults = [Fault("GET /apis/v2beta1/runs", 503, times=1000)]
    with pytest.raises(RunError, match="which goes on"):
        wait(client, api, tmp_path)


def test_steps_of_a_graph_in_the_graph_are_known() -> None:
    def task(name: str) -> dict[str, Any]:
        return {"taskInfo": {"name": name}, "componentRef": {"name": f"comp-{name.lower()}"}}

    inner = {"dag": {"tasks": {"trainer": task("Trainer")}}}
    spec = {
        "root": {"dag": {"tasks": {"pin": task("Pin"), "steps": task("Steps")}}},
        "components": {"comp-pin": {}, "comp-trainer": {}, "comp-steps": inner},
    }
    assert watch.steps_of(spec) == STEPS


def test_without_a_terminal_each_change_is_a_line() -> None:
    out = io.StringIO()
    with watch.Display(Console(file=out), STEPS) as shown:
        for now in ({"Pin": "running", "Trainer": "waiting"}, {"Pin": "done", "Trainer": "waiting"}):
            shown.show(now)
            shown.show(now)
        shown.note("no answer")
        shown.note("no answer")
    assert out.getvalue().splitlines() == ["Pin running", "Pin done", "no answer"]
