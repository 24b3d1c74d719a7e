"""`hubline schedule` and `submit` with kfp's client, against a server that keeps state and enforces the contract."""

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from hubline.core.errors import RunError, UserError
from hubline.pipeline.config import AnyFile
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.kubeflow import run_parameters as form
from hubline.pipeline.kubeflow import schedule, watch
from hubline.pipeline.kubeflow.api import Address, Client, connect
from hubline.pipeline.kubeflow.parameter_definitions import offered
from hubline.pipeline.kubeflow.publish import Package
from hubline.pipeline.kubeflow.submit import submit
from hubline.pipeline.load import load
from tests.support.kfp_api import START, Fault, KfpApi

FILE = """\
name: taxi-tips
data: {examples: gs://bucket/data/*.tfrecord}
features: {miles: {kind: numeric}}
label: {from: tips, kind: binary}
training: {epochs: 1, batch_size: 8}
serving: {destination: gs://bucket/serving}
kubeflow:
  schedule: SCHEDULE
"""
SPEC = """\
pipelineInfo: {name: taxi-tips}
root:
  inputDefinitions:
    parameters: {epochs: {}, batch_size: {}, learning_rate: {}, data_examples: {}, push: {}, overrides: {},
      accuracy_no_worse_than_serving_by: {}}
  dag: {tasks: {pin: {taskInfo: {name: Pin}, componentRef: {name: comp}},
    trainer: {taskInfo: {name: Trainer}, componentRef: {name: comp}}}}
components: {comp: {executorLabel: exec}}
"""
DAILY = "{cron: 0 3 * * *, time_zone: Europe/Berlin}"
DAY = timedelta(days=1)
STEPS = {"pin": "Pin", "trainer": "Trainer"}


@pytest.fixture
def api(monkeypatch) -> Iterator[KfpApi]:
    """The server; whatever a test does, calls and answers keep to the contract."""
    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", os.devnull + "/none")
    with KfpApi().serving() as api:
        yield api
        assert api.violations == []
        assert api.most_enabled <= 1, "two schedules of one pipeline were on at once"


def address(api: KfpApi, **said: Any) -> Address:
    return Address(**{"host": api.host, "first_wait": 0.001} | said)


@pytest.fixture
def client(api: KfpApi) -> Client:
    return connect(address(api))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def file_of(folder: Path, said: str = DAILY) -> AnyFile:
    path = folder / "pipeline.yaml"
    path.write_text(FILE.replace("SCHEDULE", said))
    return load(path)[0]


def package_of(folder: Path, version: str = "taxi-tips-1") -> Package:
    path = folder / "package.yaml"
    path.write_text(SPEC)
    return Package(path, {}, version)


def apply(
    client: Client, api: KfpApi, folder: Path, said: str = DAILY, version: str = "taxi-tips-1"
) -> schedule.Applied:
    file, package = file_of(folder, said), package_of(folder, version)
    return schedule.apply(client, file, package, schedule.plan(file, package, None, api.now), api.now)


def would_change(
    client: Client, api: KfpApi, folder: Path, said: str = DAILY, version: str = "taxi-tips-1"
) -> list[str]:
    file, package = file_of(folder, said), package_of(folder, version)
    plan = schedule.plan(file, package, None, api.now)
    return [each.key for each in schedule.would_change(client, file, plan)]


def only(api: KfpApi) -> dict[str, Any]:
    (recurring,) = api.recurring.values()
    return recurring


def due(api: KfpApi, *until: datetime) -> list[str]:
    """When the runs that begin until then were due; each is done before the next moment."""
    found = []
    for moment in until:
        found += [run["scheduled_at"] for run in api.tick(moment)]
        api.end_runs()
    return found


def days(first: int, last: int) -> list[datetime]:
    return [START.replace(hour=23) + DAY * count for count in range(first, last + 1)]


def test_a_file_is_scheduled_and_runs(client: Client, api: KfpApi, folder: Path) -> None:
    said = "{cron: 0 3 * * *, time_zone: Europe/Berlin, parameters: {epochs: 3, overrides: {training.seed: 7}}}"
    assert would_change(client, api, folder, said) == ["schedule"]
    assert apply(client, api, folder, said).action == "created"
    recurring = only(api)
    assert recurring["trigger"] == {"cron_schedule": {"cron": "0 0 1 * * *"}}  # 3:00 in Berlin in July
    assert recurring["runtime_config"]["parameters"] == {"epochs": 3, "overrides": {"training.seed": 7}}
    assert (recurring["max_concurrency"], recurring["no_catchup"], recurring["status"]) == ("1", True, "ENABLED")
    assert api.experiments[recurring["experiment_id"]]["display_name"] == "taxi-tips"
    version = api.versions[recurring["pipeline_version_reference"]["pipeline_version_id"]]
    assert version["display_name"] == "taxi-tips-1"
    assert due(api, *days(0, 2)) == ["2026-07-02T01:00:00Z", "2026-07-03T01:00:00Z"]


def test_applied_twice_changes_nothing(client: Client, api: KfpApi, folder: Path) -> None:
    said = "{cron: 0 3 * * *, time_zone: Europe/Berlin, start: 2026-08-01, end: 2027-01-01, parameters: {epochs: 3}}"
    apply(client, api, folder, said)
    assert only(api)["trigger"]["cron_schedule"]["start_time"] == "2026-07-31T22:00:00Z"  # midnight in Berlin
    before = (dict(api.recurring), dict(api.versions), dict(api.experiments))
    api.calls.clear()
    assert apply(client, api, folder, said).action == "unchanged"
    assert (api.recurring, api.versions, api.experiments) == before
    assert {call.split()[0] for call in api.calls} == {"GET"}
    assert would_change(client, api, folder, said) == []
    api.now = START + 60 * DAY  # the start is past now, and still the same
    assert would_change(client, api, folder, said) == []


CHANGES = {
    "cron": "{cron: 0 4 * * *, time_zone: Europe/Berlin}",
    "start": "{cron: 0 3 * * *, time_zone: Europe/Berlin, start: 2026-09-01}",
    "end": "{cron: 0 3 * * *, time_zone: Europe/Berlin, end: 2026-09-01T12:00:00Z}",
    "catch_up": "{cron: 0 3 * * *, time_zone: Europe/Berlin, catch_up: true}",
    "max_concurrency": "{cron: 0 3 * * *, time_zone: Europe/Berlin, max_concurrency: 2}",
    "parameters": "{cron: 0 3 * * *, time_zone: Europe/Berlin, parameters: {epochs: 2}}",
}


@pytest.mark.parametrize("key", [*CHANGES, "version"])
def test_a_change_replaces_the_schedule_and_loses_no_run(client: Client, api: KfpApi, folder: Path, key: str) -> None:
    apply(client, api, folder)
    (old,) = api.recurring
    due(api, *days(0, 1))
    said, version = CHANGES.get(key, DAILY), "taxi-tips-2" if key == "version" else "taxi-tips-1"
    assert would_change(client, api, folder, said, version) == [key]
    api.calls.clear()
    applied = apply(client, api, folder, said, version)
    assert (applied.action, [each.key for each in applied.differences]) == ("replaced", [key])
    assert only(api)["recurring_run_id"] != old and only(api)["status"] == "ENABLED"
    changes = [
        call.partition("recurringruns")[2] for call in api.calls if "recurringruns" in call and "GET" not in call
    ]
    new = only(api)["recurring_run_id"]
    assert changes == ["", f"/{old}:disable", f"/{new}:enable", f"/{old}"]
    assert would_change(client, api, folder, said, version) == []
    if key in ("end", "catch_up", "max_concurrency", "parameters", "version"):
        assert due(api, *days(2, 3)) == ["2026-07-03T01:00:00Z", "2026-07-04T01:00:00Z"]
    assert len(api.pipelines) == 1


def test_a_run_under_way_survives_a_change(client: Client, api: KfpApi, folder: Path) -> None:
    apply(client, api, folder)
    (run,) = api.tick(START + DAY)
    (old,) = api.recurring
    assert apply(client, api, folder, CHANGES["cron"]).kept == (old,)
    assert api.recurring[old]["status"] == "DISABLED" and api.killed == []
    run["state"] = "SUCCEEDED"
    assert apply(client, api, folder, CHANGES["cron"]).action == "unchanged"
    assert old not in api.recurring and api.killed == []


def test_resumed_it_replays_no_missed_run(client: Client, api: KfpApi, folder: Path) -> None:
    apply(client, api, folder)
    assert len(due(api, *days(0, 1))) == 1
    assert schedule.pause(client, "taxi-tips") and not schedule.pause(client, "taxi-tips")
    assert due(api, *days(2, 9)) == []
    assert apply(client, api, folder).action == "unchanged", "a schedule that is paused stays so"
    applied = schedule.resume(client, file_of(folder), None, api.now)
    assert applied.enabled and only(api)["status"] == "ENABLED"
    assert due(api, api.now) == [], "nothing begins at once"
    assert due(api, *days(10, 10)) == ["2026-07-11T01:00:00Z"]
    assert would_change(client, api, folder) == []
    assert schedule.resume(client, file_of(folder), None, api.now).action == "unchanged"


def test_the_backend_itself_would_replay_one(client: Client, api: KfpApi, folder: Path) -> None:
    """Why a schedule is made anew to go on: switched on again, KFP makes up for the last run in spite of no_catchup."""
    apply(client, api, folder)
    schedule.pause(client, "taxi-tips")
    due(api, *days(0, 9))
    client.enable_recurring_run(only(api)["recurring_run_id"])
    assert due(api, api.now) == ["2026-07-10T01:00:00Z"]


@pytest.mark.parametrize("of_file", [True, False], ids=["catch_up in the file", "--catch-up"])
def test_catching_up_is_one_run_after_another(client: Client, api: KfpApi, folder: Path, of_file: bool) -> None:
    apply(client, api, folder, CHANGES["catch_up"] if of_file else DAILY)
    due(api, *days(0, 1))
    schedule.pause(client, "taxi-tips")
    due(api, *days(2, 4))
    schedule.resume(client, file_of(folder), None if of_file else True, api.now)
    assert [due(api, api.now) for _ in range(4)] == [[f"2026-07-0{day}T01:00:00Z"] for day in (3, 4, 5)] + [[]]
    assert would_change(client, api, folder, CHANGES["catch_up"]) == []


def test_catching_up_can_be_left_out_once(client: Client, api: KfpApi, folder: Path) -> None:
    apply(client, api, folder, CHANGES["catch_up"])
    schedule.pause(client, "taxi-tips")
    due(api, *days(0, 4))
    schedule.resume(client, file_of(folder), False, api.now)
    assert due(api, api.now, *days(5, 5)) == ["2026-07-06T01:00:00Z"]
    assert would_change(client, api, folder, CHANGES["catch_up"]) == []


@pytest.mark.parametrize(("catch_up", "runs"), [("false", 1), ("true", 13)])
def test_a_start_that_is_past_is_made_up_for_on_purpose_only(
    client: Client, api: KfpApi, folder: Path, catch_up: str, runs: int
) -> None:
    said = f"{{cron: 0 3 * * *, time_zone: Europe/Berlin, start: 2026-06-20, catch_up: {catch_up}}}"
    apply(client, api, folder, said)
    assert would_change(client, api, folder, said) == []
    found = due(api, *[api.now] * 20, *days(1, 1))
    assert len(found) == runs and found[-1] == "2026-07-02T01:00:00Z"
    changed = said.replace("0 3", "30 3")
    apply(client, api, folder, changed)
    assert due(api, api.now) == [], "what was made up for once is not again"


def test_after_daylight_saving_it_is_applied_again(client: Client, api: KfpApi, folder: Path) -> None:
    apply(client, api, folder)
    api.now = datetime(2026, 10, 26, 12, tzinfo=timezone.utc)
    (row,) = (schedule.row(each, file_of(folder).kubeflow.api.zone, api.now) for each in schedule.scheduled(client))
    assert (row["state"], row["next"]) == ("drifted; apply it again", "Tue 2026-10-27 02:00")
    assert would_change(client, api, folder) == ["cron"]
    assert apply(client, api, folder).action == "replaced"
    assert only(api)["trigger"]["cron_schedule"]["cron"] == "0 0 2 * * *"


def test_the_file_may_say_that_it_is_off(client: Client, api: KfpApi, folder: Path) -> None:
    off, on = (DAILY.replace("}", f", enabled: {said}}}") for said in ("false", "true"))
    assert not apply(client, api, folder, off).enabled
    assert due(api, *days(0, 3)) == []
    assert would_change(client, api, folder, off) == [] and would_change(client, api, folder, on) == ["enabled"]
    assert apply(client, api, folder, on).action == "resumed"
    assert due(api, api.now) == []
    assert apply(client, api, folder, off).action == "paused"
    assert only(api)["status"] == "DISABLED"


def test_pods_have_the_service_account_that_the_file_names(client: Client, api: KfpApi, folder: Path) -> None:
    apply(client, api, folder)
    said = f"{DAILY}\n  service_account: trainer"
    assert would_change(client, api, folder, said) == ["service_account"]
    apply(client, api, folder, said)
    assert only(api)["service_account"] == "trainer"
    assert would_change(client, api, folder, said) == [], "and where the file names none, any will do:"
    assert would_change(client, api, folder) == []
    submit(client, file_of(folder, said), package_of(folder), {})
    assert [run["service_account"] for run in api.runs.values()] == ["trainer"]


def test_a_schedule_made_on_the_dashboard_is_left_alone(client: Client, api: KfpApi, folder: Path) -> None:
    apply(client, api, folder)
    theirs = dict(only(api), recurring_run_id="theirs", description="by hand", status="DISABLED")
    api.recurring["theirs"] = theirs
    schedule.delete(client, "taxi-tips")
    assert list(api.recurring) == ["theirs"]
    with pytest.raises(UserError, match="there is no schedule of taxi-tips"):
        schedule.pause(client, "taxi-tips")


def test_deleting_ends_no_run(client: Client, api: KfpApi, folder: Path) -> None:
    apply(client, api, folder)
    api.tick(START + DAY)
    assert len(schedule.delete(client, "taxi-tips")) == 1
    assert only(api)["status"] == "DISABLED" and api.killed == []
    api.end_runs()
    assert schedule.delete(client, "taxi-tips") == () and api.recurring == {}


@pytest.mark.parametrize("done", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("call", ["POST /apis/v2beta1/recurringruns", ":disable", ":enable", "DELETE"])
@pytest.mark.parametrize("times", [1, 99])
def test_whenever_the_api_is_out_of_order_no_schedule_is_lost(
    client: Client, api: KfpApi, folder: Path, call: str, times: int, done: bool
) -> None:
    apply(client, api, folder)
    # Only the one step of the change is out of order, and what puts back is not: the way back switches the other one.
    api.faults = [Fault(call, 503, times if call != ":disable" or times == 1 else 5, done)]
    if call == ":enable" and times == 99:
        api.faults[0].times = 5
    try:
        apply(client, api, folder, CHANGES["cron"])
        failed = False
    except RunError:
        failed = True
    retried = times == 1 and not call.startswith("POST")
    assert failed != retried
    assert [each["status"] for each in api.recurring.values()].count("ENABLED") == 1
    api.faults = []
    apply(client, api, folder, CHANGES["cron"])
    assert only(api)["trigger"]["cron_schedule"]["cron"] == "0 0 2 * * *" and only(api)["status"] == "ENABLED"


def test_a_schedule_without_a_next_run_or_a_cron_that_shifts_badly_is_refused(api: KfpApi, folder: Path) -> None:
    package = package_of(folder)
    for said, why in (
        ("{cron: 0 3 * * *, end: 2026-06-01}", "no run is left before its end"),
        ("{cron: 0 1 1 * *, time_zone: Europe/Berlin}", "cannot be said in UTC.*CRON_SCHEDULE_TIMEZONE"),
    ):
        with pytest.raises(UserError, match=why):
            schedule.plan(file_of(folder, said), package, None, api.now)


# Runs


def test_a_run_is_submitted_with_its_parameters(client: Client, api: KfpApi, folder: Path) -> None:
    file = file_of(folder)
    given = form.read(file, ["epochs=3", 'overrides={"training.seed": 7}'])
    given = form.check(file, given, "--parameter", str(folder))
    first = submit(client, file, package_of(folder), given, "trials", "the first")
    second = submit(client, file, package_of(folder), {})
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
        ("epochs", "is name=value"),
    ],
)
def test_a_parameter_that_the_form_has_not_is_refused(folder: Path, text: str, why: str) -> None:
    file = file_of(folder)
    with pytest.raises(UserError, match=f"--parameter {why}" if "=" in text else why):
        form.check(file, form.read(file, [text]), "--parameter", str(folder))


class Heard(watch.Display):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.heard: list[dict[str, str]] = []
        self.notes: list[str] = []

    def show(self, now: Any) -> None:
        self.heard.append(dict(now))

    def note(self, text: str) -> None:
        self.notes.append(text)


def wait(client: Client, api: KfpApi, folder: Path) -> tuple[watch.Outcome, Heard]:
    run, heard = submit(client, file_of(folder), package_of(folder), {}), Heard()
    return watch.wait(client, run.id, STEPS, heard, pause=0.001), heard


def test_waiting_tells_the_state_of_each_step(client: Client, api: KfpApi, folder: Path) -> None:
    done = {"root-driver": "SUCCEEDED", "pin-driver": "SUCCEEDED", "pin": "SUCCEEDED"}
    api.frames["*"] = [
        {"state": "PENDING"},
        {"state": "RUNNING", "tasks": {"root": "RUNNING", "pin-driver": "RUNNING"}},
        {"state": "RUNNING", "tasks": {"pin-driver": "SUCCEEDED", "pin": "RUNNING", "executor": "RUNNING"}},
        {"state": "RUNNING", "tasks": {**done, "trainer-driver": "SUCCEEDED"}},
        {"state": "SUCCEEDED", "tasks": {**done, "trainer-driver": "SUCCEEDED", "trainer": "SUCCEEDED"}},
    ]
    outcome, heard = wait(client, api, folder)
    assert (outcome.state, outcome.failed) == ("SUCCEEDED", {})
    assert [tuple(each.values()) for each in heard.heard] == [
        ("waiting", "waiting"),
        ("starting", "waiting"),
        ("running", "waiting"),
        ("done", "starting"),
        ("done", "done"),
    ]


def test_without_a_log_the_error_is_told(client: Client, api: KfpApi, folder: Path) -> None:
    driver = {"state": "FAILED", "error": "ImagePullBackOff"}
    api.frames["*"] = [{"state": "FAILED", "error": "the pipeline failed", "tasks": {"trainer-driver": driver}}]
    outcome, _ = wait(client, api, folder)
    assert outcome.error == "the pipeline failed"
    assert outcome.failed == {"Trainer": watch.Words("ImagePullBackOff", ())}


def test_an_outage_while_waiting_is_sat_out(client: Client, api: KfpApi, folder: Path) -> None:
    api.frames["*"] = [{"state": "SUCCEEDED"}]
    api.faults = [Fault("GET /apis/v2beta1/runs", 503, times=12)]
    outcome, heard = wait(client, api, folder)
    assert outcome.state == "SUCCEEDED" and len(heard.notes) == 2
    api.faults = [Fault("GET /apis/v2beta1/runs", 503, times=1000)]
    with pytest.raises(RunError, match="which goes on"):
        wait(client, api, folder)


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


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{cron: 0 25 * * *}", "cron: the hour '25' is none of 0 to 23"),
        ("0 3 * *", "'0 3 \\* \\*' has 4 fields"),
        (
            "{cron: 0 3 * * *, time_zone: Berlin}",
            "time_zone: there is no time zone 'Berlin'; did you mean 'Europe/Berlin'",
        ),
        ("{cron: 0 3 * * *, time_zone: Europe}", "there is no time zone 'Europe'"),
        ("{cron: 0 3 * * *, start: 2026-11-02, end: 2026-11-01T23:00:00Z}", "end: .* is not after start"),
        ("{cron: 0 3 * * *, max_concurrency: 11}", "max_concurrency: .* 10; got 11"),
        ("{cron: 0 3 * * *, token: x}", "token: unknown key"),
    ],
)
def test_mistakes_of_a_schedule_are_found_with_the_file(folder: Path, said: str, why: str) -> None:
    with pytest.raises(PipelineFileError, match=f"pipeline.yaml:8: kubeflow.schedule.*{why}"):
        file_of(folder, said)


# What an installation asks for, and answers


def test_a_token_a_cookie_and_a_namespace(api: KfpApi, folder: Path) -> None:
    api.token, api.cookie, api.multi_user = "secret", "authservice_session=x", True
    known = address(api, token="secret", cookies="authservice_session=x", namespace="team-a")
    client = connect(known)
    assert apply(client, api, folder).action == "created" and apply(client, api, folder).action == "unchanged"
    (experiment,), (pipeline,) = api.experiments.values(), api.pipelines.values()
    assert experiment["namespace"] == pipeline["namespace"] == "team-a"
    with pytest.raises(UserError, match="has several users: say which namespace"):
        connect(replace(known, namespace=None))


@pytest.mark.parametrize(
    ("fault", "said", "why", "kind"),
    [
        (Fault("", 401), {}, "asks who you are: give a token with --token-file or HUBLINE_KFP_TOKEN", UserError),
        (Fault("", 401), {"token": "old"}, "does not take the token .* expired", UserError),
        (Fault("", 302, headers={"Location": "/dex"}, body="<html>"), {}, "asks who you are.*COOKIES", UserError),
        (Fault("", 200, body="<html>log in"), {}, "answers with a web page: a log-in", UserError),
        (Fault("", 403), {"namespace": "team-b"}, "may not use the namespace team-b", UserError),
        (Fault("", 404), {}, "is this the address of Kubeflow Pipelines 2", UserError),
        (Fault("", 409), {}, "refuses what is there already: as the test has it: 409", UserError),
        (Fault("", 503, times=99), {}, "answers 503 Service Unavailable, which may pass", RunError),
        (Fault("", 500), {}, "answers 500 Internal Server Error", RunError),
    ],
)
def test_what_the_api_answers_is_explained(
    api: KfpApi, folder: Path, fault: Fault, said: dict[str, str], why: str, kind: type
) -> None:
    api.faults = [fault]
    with pytest.raises(UserError, match=why) as caught:
        schedule.scheduled(connect(address(api, **said)))
    assert type(caught.value) is kind and api.host in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_address_where_nobody_answers_is_named() -> None:
    with pytest.raises(RunError, match=r"http://127\.0\.0\.1:9: no answer: .*Connection refused"):
        connect(Address("http://127.0.0.1:9", first_wait=0.001))


def test_an_api_that_hangs_is_given_up(api: KfpApi, monkeypatch) -> None:
    monkeypatch.setattr("hubline.pipeline.kubeflow.api._TIME_LIMITS", (1, 0.2))
    api.faults = [Fault("", 0)]
    with pytest.raises(RunError, match="no answer within"):
        connect(address(api))
    assert len(api.calls) == 1, "what has taken its time is not asked again"


def test_what_may_pass_is_asked_again_and_a_run_is_begun_once(client: Client, api: KfpApi, folder: Path) -> None:
    api.faults = [Fault("GET", 503, times=3)]
    run = submit(client, file_of(folder), package_of(folder), {})
    assert list(api.runs) == [run.id]
    api.faults = [Fault("POST /apis/v2beta1/runs", 503, done=True)]
    with pytest.raises(RunError, match="503"):
        submit(client, file_of(folder), package_of(folder), {})
    assert len(api.runs) == 2, "the call whose answer was lost is not repeated"


def test_lists_of_many_pages_are_read_to_the_end(client: Client, api: KfpApi, folder: Path) -> None:
    apply(client, api, folder)
    recurring = only(api)
    api.tick(START + DAY)
    (under_way,) = api.runs.values()
    for number in range(250):
        run = dict(under_way, run_id=str(number), recurring_run_id="another", state="RUNNING")
        api.runs[str(number)] = run
    assert schedule.delete(client, "taxi-tips") == (recurring["recurring_run_id"],)
