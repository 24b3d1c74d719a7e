"""Runs that end in a notification to a real webhook."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from hubline.pipeline.kubeflow import executor_io
from tests.support import example_data
from tests.support.compiled import compiled, in_this_process
from tests.support.launcher import RUN_ID, Cluster, Version
from tests.support.project import make_project

SECTION = """\
kubeflow:
  state: FOLDER/state
  api: {host: "https://kubeflow.example/"}
  every_step: {volumes: [{claim: work, path: FOLDER}]}
  alert: {webhook: WEBHOOK, on: WHEN}
"""
FIRST_STEPS = ["steps", "pin", "data", "done", "alert"]


class Webhook(BaseHTTPRequestHandler):
    """Records requests; rejects the first ones as configured."""

    heard: list[dict[str, Any]]
    refusals: list[int]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refusals:
            self.send_response(self.refusals.pop())
        else:
            self.heard.append(json.loads(body))
            self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[HTTPServer]:
    Webhook.heard, Webhook.refusals = [], []
    with HTTPServer(("127.0.0.1", 0), Webhook) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch) -> Cluster:
    cluster = Cluster(tmp_path / "kfp", Version(executor_logs=True), in_this_process)
    monkeypatch.setattr(executor_io, "MOUNTED", {"minio://": f"{cluster.mounted}/"})
    return cluster


def alerted(
    folder: Path, server: HTTPServer, when: str = "failure", records: list[bytes] | None = None
) -> dict[str, Any]:
    """The package of a pipeline that notifies a server of its outcome."""
    path = make_project(folder, records=records)
    section = SECTION.replace("FOLDER", str(folder)).replace("WHEN", when)
    path.write_text(path.read_text() + section.replace("WEBHOOK", f"http://127.0.0.1:{server.server_port}/"))
    return compiled(path)


def test_a_step_that_fails_is_told_of_with_its_reason(tmp_path: Path, webhook: HTTPServer, cluster: Cluster) -> None:
    spec = alerted(tmp_path, webhook, records=[*example_data.labelled(20), example_data.record(label=0)])
    cluster.run(spec, {}, only=FIRST_STEPS)
    assert {"data", "done", "steps"} < set(cluster.failed) and "alert" not in cluster.failed, "the run is red"
    (heard,) = Webhook.heard
    assert (heard["pipeline"], heard["run_id"], heard["run_name"], heard["status"]) == (
        "tiny",
        RUN_ID,
        "nightly",
        "failed",
    )
    assert heard["link"] == (link := f"https://kubeflow.example/#/runs/details/{RUN_ID}")
    assert heard["report"] == {"step": "Dashboard", "output": "report", "link": link}
    assert heard["text"].endswith(f"\n{link}\nreport (if the run got that far): step Dashboard, output report")
    (failed,) = heard["failed_steps"]
    assert failed["step"] == "ExampleGen" and "image" in failed["error"] and failed["error"] in heard["text"]


def test_a_mistake_in_the_form_is_told_of(tmp_path: Path, webhook: HTTPServer, cluster: Cluster) -> None:
    cluster.run(alerted(tmp_path, webhook), {"epochs": 0}, only=FIRST_STEPS)
    (heard,) = Webhook.heard
    assert [step["step"] for step in heard["failed_steps"]] == ["Pin"] and "Pin: epochs: " in heard["text"]


def test_a_crash_is_told_of_with_its_words(tmp_path: Path, webhook: HTTPServer, cluster: Cluster, monkeypatch) -> None:
    def crash(*_: Any) -> None:
        raise KeyError("no such feature")

    def in_a_container(command: list[str], arguments: list[str]) -> int:
        try:
            return in_this_process(command, arguments)
        except KeyError:
            return 1  # Python's exit code

    cluster.run_container = in_a_container
    monkeypatch.setattr("hubline.pipeline.kubeflow.pin.pin", crash)
    cluster.run(alerted(tmp_path, webhook), {}, only=FIRST_STEPS)
    (heard,) = Webhook.heard
    assert heard["failed_steps"] == [{"step": "Pin", "error": "KeyError: 'no such feature'"}]


@pytest.mark.parametrize(("when", "told"), [("failure", []), ("always", ["succeeded"])])
def test_a_run_that_succeeds_is_told_of_where_that_is_asked_for(
    tmp_path: Path, webhook: HTTPServer, cluster: Cluster, when: str, told: list[str]
) -> None:
    cluster.run(alerted(tmp_path, webhook, when), {}, only=["steps", "pin", "done", "alert"])
    assert not cluster.failed and [heard["status"] for heard in Webhook.heard] == told
    assert all(heard["text"].endswith("\nreport: step Dashboard, output report") for heard in Webhook.heard)
    assert not [path for path in (tmp_path / "state" / "word").rglob("*") if path.is_file()], "nothing is left behind"


def test_a_webhook_that_is_busy_is_asked_again_and_one_that_refuses_makes_the_alert_fail(
    tmp_path: Path, webhook: HTTPServer, cluster: Cluster, capsys
) -> None:
    Webhook.refusals = [503]
    spec = alerted(tmp_path, webhook, "always")
    cluster.run(spec, {}, only=["steps", "pin", "done", "alert"])
    assert [heard["status"] for heard in Webhook.heard] == ["succeeded"]
    Webhook.refusals = [404]
    cluster.run(spec, {}, only=["steps", "pin", "done", "alert"])
    assert cluster.failed == ["alert"] and "the webhook responded 404" in capsys.readouterr().err


@pytest.mark.both_stacks
def test_the_url_of_a_webhook_may_be_a_secret(tmp_path: Path) -> None:
    from hubline.pipeline.kubeflow.config import Kubeflow
    from hubline.pipeline.kubeflow.exit_handler import with_webhook

    kubeflow = with_webhook(Kubeflow.model_validate({"alert": {"webhook": {"secret": "alerts", "key": "url"}}}))
    assert kubeflow.alert and kubeflow.alert.warning is None, "a URL in the file is warned of"
    (secret,) = kubeflow.placement("Alert").secrets
    assert (secret.name, secret.env) == ("alerts", {"HUBLINE_WEBHOOK": "url"})
    assert not kubeflow.placement("Trainer").secrets
