"""`hubline schedule` and `submit` with kfp's client, against a stateful server that enforces the contract."""

from datetime import datetime, timezone
from pathlib import Path

import pytest

from hubline.core.errors import RunError, UserError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.kubeflow import recurring_runs, schedule, schedule_plan, schedule_status
from hubline.pipeline.kubeflow.api import Client
from hubline.pipeline.kubeflow.submit import submit
from tests.support.kfp_api import START, Fault, KfpApi
from tests.support.kfp_client import DAILY, DAY, apply, file_of, only, package_of, would_change


def due(api: KfpApi, *until: datetime) -> list[str]:
    """When the runs that start until then were due; each ends before the next moment."""
    found = []
    for moment in until:
        found += [run["scheduled_at"] for run in api.tick(moment)]
        api.end_runs()
    return found


def days(first: int, last: int) -> list[datetime]:
    return [START.replace(hour=23) + DAY * count for count in range(first, last + 1)]


def test_a_file_is_scheduled_and_runs(client: Client, api: KfpApi, tmp_path: Path) -> None:
    said = "{cron: 0 3 * * *, time_zone: Europe/Berlin, parameters: {epochs: 3, overrides: {training.seed: 7}}}"
    assert would_change(client, api, tmp_path, said) == ["schedule"]
    assert apply(client, api, tmp_path, said).action == "created"
    recurring = only(api)
    assert recurring["trigger"] == {"cron_schedule": {"cron": "0 0 1 * * *"}}  # 3:00 in Berlin in July
    assert recurring["runtime_config"]["parameters"] == {"epochs": 3, "overrides": {"training.seed": 7}}
    assert (recurring["max_concurrency"], recurring["no_catchup"], recurring["status"]) == ("1", True, "ENABLED")
    assert api.experiments[recurring["experiment_id"]]["display_name"] == "taxi-tips"
    version = api.versions[recurring["pipeline_version_reference"]["pipeline_version_id"]]
    assert version["display_name"] == "taxi-tips-1"
    assert due(api, *days(0, 2)) == ["2026-07-02T01:00:00Z", "2026-07-03T01:00:00Z"]


def test_applied_twice_changes_nothing(client: Client, api: KfpApi, tmp_path: Path) -> None:
    said = "{cron: 0 3 * * *, time_zone: Europe/Berlin, start: 2026-08-01, end: 2027-01-01, parameters: {epochs: 3}}"
    apply(client, api, tmp_path, said)
    assert only(api)["trigger"]["cron_schedule"]["start_time"] == "2026-07-31T22:00:00Z"  # midnight in Berlin
    before = (dict(api.recurring), dict(api.versions), dict(api.experiments))
    api.calls.clear()
    assert apply(client, api, tmp_path, said).action == "unchanged"
    assert (api.recurring, api.versions, api.experiments) == before
    assert {call.split()[0] for call in api.calls} == {"GET"}
    assert would_change(client, api, tmp_path, said) == []
    api.now = START + 60 * DAY  # the start is in the past now, and unchanged
    assert would_change(client, api, tmp_path, said) == []


CHANGES = {
    "cron": "{cron: 0 4 * * *, time_zone: Europe/Berlin}",
    "start": "{cron: 0 3 * * *, time_zone: Europe/Berlin, start: 2026-09-01}",
    "end": "{cron: 0 3 * * *, time_zone: Europe/Berlin, end: 2026-09-01T12:00:00Z}",
    "catch_up": "{cron: 0 3 * * *, time_zone: Europe/Berlin, catch_up: true}",
    "max_concurrency": "{cron: 0 3 * * *, time_zone: Europe/Berlin, max_concurrency: 2}",
    "parameters": "{cron: 0 3 * * *, time_zone: Europe/Berlin, parameters: {epochs: 2}}",
}


@pytest.mark.parametrize("key", [*CHANGES, "version"])
def test_a_change_replaces_the_schedule_and_loses_no_run(client: Client, api: KfpApi, tmp_path: Path, key: str) -> None:
    apply(client, api, tmp_path)
    (old,) = api.recurring
    due(api, *days(0, 1))
    said, version = CHANGES.get(key, DAILY), "taxi-tips-2" if key == "version" else "taxi-tips-1"
    assert would_change(client, api, tmp_path, said, version) == [key]
    api.calls.clear()
    applied = apply(client, api, tmp_path, said, version)
    assert (applied.action, [each.key for each in applied.differences]) == ("replaced", [key])
    assert only(api)["recurring_run_id"] != old and only(api)["status"] == "ENABLED"
    changes = [
        call.partition("recurringruns")[2] for call in api.calls if "recurringruns" in call and "GET" not in call
    ]
    new = only(api)["recurring_run_id"]
    assert changes == ["", f"/{old}:disable", f"/{new}:enable", f"/{old}"]
    assert would_change(client, api, tmp_path, said, version) == []
    if key in ("end", "catch_up", "max_concurrency", "parameters", "version"):
        assert due(api, *days(2, 3)) == ["2026-07-03T01:00:00Z", "2026-07-04T01:00:00Z"]
    assert len(api.pipelines) == 1


def test_a_run_under_way_survives_a_change(client: Client, api: KfpApi, tmp_path: Path) -> None:
    apply(client, api, tmp_path)
    (run,) = api.tick(START + DAY)
    (old,) = api.recurring
    assert apply(client, api, tmp_path, CHANGES["cron"]).kept == (old,)
    assert api.recurring[old]["status"] == "DISABLED" and api.killed == []
    run["state"] = "SUCCEEDED"
    assert apply(client, api, tmp_path, CHANGES["cron"]).action == "unchanged"
    assert old not in api.recurring and api.killed == []


def test_resumed_it_replays_no_missed_run(client: Client, api: KfpApi, tmp_path: Path) -> None:
    apply(client, api, tmp_path)
    assert len(due(api, *days(0, 1))) == 1
    assert schedule.pause(client, "taxi-tips") and not schedule.pause(client, "taxi-tips")
    assert due(api, *days(2, 9)) == []
    assert apply(client, api, tmp_path).action == "unchanged", "a schedule that is paused stays so"
    applied = schedule.resume(client, file_of(tmp_path), None, api.now)
    assert applied.enabled and only(api)["status"] == "ENABLED"
    assert due(api, api.now) == [], "nothing begins at once"
    assert due(api, *days(10, 10)) == ["2026-07-11T01:00:00Z"]
    assert would_change(client, api, tmp_path) == []
    assert schedule.resume(client, file_of(tmp_path), None, api.now).action == "unchanged"


def test_the_backend_itself_would_replay_one(client: Client, api: KfpApi, tmp_path: Path) -> None:
    """Why a schedule is created anew to resume it: when enabled again, KFP makes up for the last run despite
    no_catchup."""
    apply(client, api, tmp_path)
    schedule.pause(client, "taxi-tips")
    due(api, *days(0, 9))
    client.enable_recurring_run(only(api)["recurring_run_id"])
    assert due(api, api.now) == ["2026-07-10T01:00:00Z"]


@pytest.mark.parametrize("of_file", [True, False], ids=["catch_up in the file", "--catch-up"])
def test_catching_up_is_one_run_after_another(client: Client, api: KfpApi, tmp_path: Path, of_file: bool) -> None:
    apply(client, api, tmp_path, CHANGES["catch_up"] if of_file else DAILY)
    due(api, *days(0, 1))
    schedule.pause(client, "taxi-tips")
    due(api, *days(2, 4))
    schedule.resume(client, file_of(tmp_path), None if of_file else True, api.now)
    assert [due(api, api.now) for _ in range(4)] == [[f"2026-07-0{day}T01:00:00Z"] for day in (3, 4, 5)] + [[]]
    assert would_change(client, api, tmp_path, CHANGES["catch_up"]) == []


def test_catching_up_can_be_left_out_once(client: Client, api: KfpApi, tmp_path: Path) -> None:
    apply(client, api, tmp_path, CHANGES["catch_up"])
    schedule.pause(client, "taxi-tips")
    due(api, *days(0, 4))
    schedule.resume(client, file_of(tmp_path), False, api.now)
    assert due(api, api.now, *days(5, 5)) == ["2026-07-06T01:00:00Z"]
    assert would_change(client, api, tmp_path, CHANGES["catch_up"]) == []


@pytest.mark.parametrize(("catch_up", "runs"), [("false", 1), ("true", 13)])
def test_a_start_that_is_past_is_made_up_for_on_purpose_only(
    client: Client, api: KfpApi, tmp_path: Path, catch_up: str, runs: int
) -> None:
    said = f"{{cron: 0 3 * * *, time_zone: Europe/Berlin, start: 2026-06-20, catch_up: {catch_up}}}"
    apply(client, api, tmp_path, said)
    assert would_change(client, api, tmp_path, said) == []
    found = due(api, *[api.now] * 20, *days(1, 1))
    assert len(found) == runs and found[-1] == "2026-07-02T01:00:00Z"
    changed = said.replace("0 3", "30 3")
    apply(client, api, tmp_path, changed)
    assert due(api, api.now) == [], "what was made up for once is not again"


def test_after_daylight_saving_it_is_applied_again(client: Client, api: KfpApi, tmp_path: Path) -> None:
    apply(client, api, tmp_path)
    api.now = datetime(2026, 10, 26, 12, tzinfo=timezone.utc)
    (row,) = (
        schedule_status.row(each, file_of(tmp_path).kubeflow.api.zone, api.now)
        for each in recurring_runs.scheduled(client)
    )
    assert (row["state"], row["next"]) == ("drifted; apply it again", "Tue 2026-10-27 02:00")
    assert would_change(client, api, tmp_path) == ["cron"]
    assert apply(client, api, tmp_path).action == "replaced"
    assert only(api)["trigger"]["cron_schedule"]["cron"] == "0 0 2 * * *"


def test_the_file_may_say_that_it_is_off(client: Client, api: KfpApi, tmp_path: Path) -> None:
    off, on = (DAILY.replace("}", f", enabled: {said}}}") for said in ("false", "true"))
    assert not apply(client, api, tmp_path, off).enabled
    assert due(api, *days(0, 3)) == []
    assert would_change(client, api, tmp_path, off) == [] and would_change(client, api, tmp_path, on) == ["enabled"]
    assert apply(client, api, tmp_path, on).action == "resumed"
    assert due(api, api.now) == []
    assert apply(client, api, tmp_path, off).action == "paused"
    assert only(api)["status"] == "DISABLED"


def test_pods_have_the_service_account_that_the_file_names(client: Client, api: KfpApi, tmp_path: Path) -> None:
    apply(client, api, tmp_path)
    said = f"{DAILY}\n  service_account: trainer"
    assert would_change(client, api, tmp_path, said) == ["service_account"]
    apply(client, api, tmp_path, said)
    assert only(api)["service_account"] == "trainer"
    assert would_change(client, api, tmp_path, said) == [], "and where the file names none, any will do:"
    assert would_change(client, api, tmp_path) == []
    submit(client, file_of(tmp_path, said), package_of(tmp_path), {})
    assert [run["service_account"] for run in api.runs.values()] == ["trainer"]


def test_a_schedule_made_on_the_dashboard_is_left_alone(client: Client, api: KfpApi, tmp_path: Path) -> None:
    apply(client, api, tmp_path)
    theirs = dict(only(api), recurring_run_id="theirs", description="by hand", status="DISABLED")
    api.recurring["theirs"] = theirs
    schedule.delete(client, "taxi-tips")
    assert list(api.recurring) == ["theirs"]
    with pytest.raises(UserError, match="there is no schedule of taxi-tips"):
        schedule.pause(client, "taxi-tips")


def test_deleting_ends_no_run(client: Client, api: KfpApi, tmp_path: Path) -> None:
    apply(client, api, tmp_path)
    api.tick(START + DAY)
    assert len(schedule.delete(client, "taxi-tips")) == 1
    assert only(api)["status"] == "DISABLED" and api.killed == []
    api.end_runs()
    assert schedule.delete(client, "taxi-tips") == () and api.recurring == {}


@pytest.mark.parametrize("done", [False, True], ids=["refused", "answer lost"])
@pytest.mark.parametrize("call", ["POST /apis/v2beta1/recurringruns", ":disable", ":enable", "DELETE"])
@pytest.mark.parametrize("times", [1, 99])
def test_whenever_the_api_is_out_of_order_no_schedule_is_lost(
    client: Client, api: KfpApi, tmp_path: Path, call: str, times: int, done: bool
) -> None:
    apply(client, api, tmp_path)
    # Only this step of the change fails, and not the rollback, which switches the other one.
    api.faults = [Fault(call, 503, times if call != ":disable" or times == 1 else 5, done)]
    if call == ":enable" and times == 99:
        api.faults[0].times = 5
    try:
        apply(client, api, tmp_path, CHANGES["cron"])
        failed = False
    except RunError:
        failed = True
    retried = times == 1 and not call.startswith("POST")
    assert failed != retried
    assert [each["status"] for each in api.recurring.values()].count("ENABLED") == 1
    api.faults = []
    apply(client, api, tmp_path, CHANGES["cron"])
    assert only(api)["trigger"]["cron_schedule"]["cron"] == "0 0 2 * * *" and only(api)["status"] == "ENABLED"


def test_a_schedule_without_a_next_run_or_a_cron_that_shifts_badly_is_refused(api: KfpApi, tmp_path: Path) -> None:
    package = package_of(tmp_path)
    for said, why in (
        ("{cron: 0 3 * * *, end: 2026-06-01}", "there are no more runs before its end"),
        ("{cron: 0 1 1 * *, time_zone: Europe/Berlin}", "has no equivalent in UTC.*CRON_SCHEDULE_TIMEZONE"),
    ):
        with pytest.raises(UserError, match=why):
            schedule_plan.plan(file_of(tmp_path, said), package, None, api.now)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("{cron: 0 25 * * *}", "cron: the hour '25' is not in the range 0 to 23"),
        ("0 3 * *", "'0 3 \\* \\*' has 4 fields"),
        (
            "{cron: 0 3 * * *, time_zone: Berlin}",
            "time_zone: unknown time zone 'Berlin'; did you mean 'Europe/Berlin'",
        ),
        ("{cron: 0 3 * * *, time_zone: Europe}", "unknown time zone 'Europe'"),
        ("{cron: 0 3 * * *, start: 2026-11-02, end: 2026-11-01T23:00:00Z}", "end: .* is not after start"),
        ("{cron: 0 3 * * *, max_concurrency: 11}", "max_concurrency: .* 10; got 11"),
        ("{cron: 0 3 * * *, token: x}", "token: unknown key"),
    ],
)
def test_mistakes_of_a_schedule_are_found_with_the_file(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(PipelineFileError, match=f"pipeline.yaml:8: kubeflow.schedule.*{why}"):
        file_of(tmp_path, said)
