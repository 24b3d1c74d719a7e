"""`hubline submit` and `hubline schedule` from the command line, with a real package and a stateful server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from hubline.pipeline.cli import app
from tests.support.kfp_api import KfpApi, pod_of
from tests.support.project import make_project

IMAGE = "registry.example/hubline@sha256:" + "0" * 64
SECTION = """\
kubeflow:
  image: IMAGE
  state: FOLDER/state
  every_step: {volumes: [{claim: work, path: FOLDER}]}
  schedule: {cron: 0 3 * * *, time_zone: Asia/Tokyo, parameters: {epochs: 2}}
"""


@pytest.fixture
def api(monkeypatch) -> Iterator[KfpApi]:
    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", os.devnull + "/none")
    monkeypatch.setenv("HUBLINE_KFP_TOKEN", "secret")
    with KfpApi(token="secret").serving() as api:
        monkeypatch.setenv("HUBLINE_KFP_HOST", api.host)
        yield api
        assert api.violations == []


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    path = make_project(tmp_path_factory.mktemp("project"))
    path.write_text(path.read_text() + SECTION.replace("IMAGE", IMAGE).replace("FOLDER", str(path.parent)))
    return path


def hubline(*arguments: str) -> tuple[Result, dict[str, Any]]:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    last = result.output.strip().rpartition("\n")[2]
    return result, json.loads(last) if last.startswith("{") else {}


@pytest.mark.both_stacks
def test_a_schedule_from_the_command_line(api: KfpApi, path: Path) -> None:
    assert hubline("schedule", "diff", str(path))[0].exit_code == 1
    result, told = hubline("schedule", "apply", str(path))
    assert (result.exit_code, told["status"], len(told["next"])) == (0, "created", 3), result.output
    (recurring,) = api.recurring.values()
    assert recurring["trigger"]["cron_schedule"]["cron"] == "0 0 18 * * *"
    assert hubline("schedule", "diff", str(path))[0].exit_code == 0
    assert hubline("schedule", "apply", str(path))[1]["status"] == "unchanged"
    assert hubline("schedule", "pause", str(path))[1]["status"] == "paused"
    (row,) = hubline("schedule", "list", str(path))[1]["schedules"]
    assert (row["schedule"], row["state"], row["parameters"]) == ("0 3 * * * Asia/Tokyo", "paused", {"epochs": 2})
    assert hubline("schedule", "resume", str(path))[1] | {"recurring_run_id": ""} == {
        "status": "resumed", "enabled": True, "recurring_run_id": "", "differences": [], "kept": [],
    }  # fmt: skip
    (version,) = {each["pipeline_version_reference"]["pipeline_version_id"] for each in api.recurring.values()}
    spec = api.versions[version]["pipeline_spec"]["pipeline_spec"]
    assert spec["pipelineInfo"]["name"] in api.versions[version]["display_name"]

    changed = path.with_name("changed.yaml")
    changed.write_text(path.read_text().replace("0 3 * * *", "0 4 * * *"))
    result = CliRunner().invoke(app, ["schedule", "apply", str(changed)])
    assert result.exit_code == 0 and "0 0 18 * * * (for 0 3 * * * Asia/Tokyo) -> 0 0 19 * * *" in result.output
    assert len(api.versions) == 2, "another time is no other package"
    assert hubline("schedule", "delete", str(path))[1]["status"] == "deleted" and not api.recurring


def test_a_schedule_with_a_run_under_way_is_kept_and_what_follows_is_said(api: KfpApi, path: Path) -> None:
    hubline("schedule", "apply", str(path))
    (before,) = api.recurring
    assert len(api.tick(api.now + timedelta(days=1))) == 1
    changed = path.with_name("under_way.yaml")
    changed.write_text(path.read_text().replace("0 3 * * *", "0 5 * * *"))
    result = CliRunner().invoke(app, ["schedule", "apply", str(changed)])
    assert f"{before}, is disabled. Deleting it would end its active run" in result.output
    assert "max_concurrency doesn't count that run" in result.output
    for run in api.runs.values():
        run["state"] = "SUCCEEDED"
    assert hubline("schedule", "apply", str(changed))[1]["kept"] == [] and before not in api.recurring


def test_a_failed_run_shows_the_last_lines_of_its_step(api: KfpApi, path: Path) -> None:
    api.frames["*"] = [{"state": "FAILED", "tasks": {"pin": "SUCCEEDED", "trainer": "FAILED"}}]
    api.dashboard_logs[pod_of("trainer")] = "loading\nserving: there is no such bucket\n"
    result = CliRunner().invoke(app, ["submit", str(path), "--wait", "-p", "epochs=3", "--run-name", "by hand"])
    assert result.exit_code == 1, result.output
    assert "Trainer failed" in result.output and "serving: there is no such bucket" in result.output
    (run,) = api.runs.values()
    assert f"{api.host}/#/runs/details/{run['run_id']}" in result.output
    assert result.output.count("report: ") == 1, "this run has none"
    sent = run["runtime_config"]["parameters"]
    assert (run["display_name"], sent["epochs"], sent["batch_size"], sent["push"]) == ("by hand", 3, 16, True)
    *_, version = api.versions.values()
    assert sent.keys() == version["pipeline_spec"]["pipeline_spec"]["root"]["inputDefinitions"]["parameters"].keys()
    api.frames.clear()
    api.dashboard_logs.clear()
    result, told = hubline("submit", str(path))
    assert (result.exit_code, told["status"]) == (0, "submitted")
    assert "secret" not in result.output
    assert told["report"] == {"step": "Dashboard", "output": "report", "link": told["link"]}
    assert "report: step Dashboard, output report, once that step is done" in result.output


@pytest.mark.parametrize(("state", "is_there"), [("SUCCEEDED", True), ("FAILED", False)])
def test_a_run_that_ends_tells_where_its_report_is(api: KfpApi, path: Path, state: str, is_there: bool) -> None:
    fused = path.with_name("fused.yaml")
    fused.write_text(path.read_text() + "  join: {Last: [Pusher, Dashboard]}\n")
    api.frames["*"] = [{"state": state, "tasks": {"pin": "SUCCEEDED", "last": state}}]
    result, told = hubline("submit", str(fused), "--wait")
    (run,) = api.runs.values()
    link = f"{api.host}/#/runs/details/{run['run_id']}"
    expected = {"step": "Last", "output": "dashboard_report", "link": link}
    assert (told["link"], told["report"]) == (link, expected if is_there else None)
    assert (f"report: {link}  step Last, output dashboard_report" in result.output) == is_there


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("submit", "FILE", "-p", "epoch=3"), "did you mean 'epochs'", 2),
        (
            ("submit", "FILE", "-p", 'overrides={"serving.destination": "../elsewhere"}'),
            "elsewhere: on this machine, and not on the cluster",
            2,
        ),
        (
            ("submit", "FILE", "-p", 'overrides={"hubs.mean.inputs": {"images": "picture"}}'),
            "overrides.hubs.mean.inputs.images: ",
            2,
        ),
        (("submit", "FILE", "-p", 'overrides={"kubeflow.state": "/x"}'), "is fixed when the file is compiled", 2),
        (("submit", "FILE", "-p", "data_examples=$(HOME)/a"), "Kubernetes fills in", 2),
        (("submit", "FILE", "--host", "kfp.example"), "the address must start with https://", 2),
        (("submit", "FILE", "--host", "http://127.0.0.1:9"), "no response", 1),
        (("schedule", "pause", "FILE"), "there is no schedule of", 2),
        (("schedule", "list", "FILE", "--token-file", "TOKEN"), "rejects the token", 2),
    ],
)
def test_mistakes_and_outages_have_their_exit_codes(
    api: KfpApi, path: Path, monkeypatch, capfd, arguments: tuple[str, ...], said: str, code: int
) -> None:
    token = path.with_name("token")
    token.write_text("old\n")
    monkeypatch.setattr("hubline.pipeline.kubeflow.api.TRIES", 1)
    monkeypatch.setattr(
        sys, "argv", ["hubline", *(each.replace("FILE", str(path)).replace("TOKEN", str(token)) for each in arguments)]
    )
    from hubline.pipeline.cli import main

    with pytest.raises(SystemExit) as ended:
        main()
    captured = capfd.readouterr()
    assert (ended.value.code, said in captured.out + captured.err) == (code, True), captured


def test_ctrl_c_leaves_the_run_running(api: KfpApi, path: Path, tmp_path: Path) -> None:
    api.frames["*"] = [{"state": "RUNNING", "tasks": {"pin": "RUNNING"}}]
    command = [sys.executable, "-m", "hubline.pipeline.cli", "submit", str(path), "--wait"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not any(call.startswith("GET /apis/v2beta1/runs/") for call in api.calls):
        assert child.poll() is None, child.communicate()
        time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 1 and "the run continues" in err and "Traceback" not in err, out
    assert not any("terminate" in call for call in api.calls)
