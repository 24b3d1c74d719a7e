"""Connections of kfp's client: credentials, errors, timeouts, retries and pagination."""

from dataclasses import replace
from pathlib import Path

import pytest

from hubline.core.errors import RunError, UserError
from hubline.pipeline.kubeflow import recurring_runs, schedule
from hubline.pipeline.kubeflow.api import Address, Client, connect
from hubline.pipeline.kubeflow.submit import submit
from tests.support.kfp_api import START, Fault, KfpApi
from tests.support.kfp_client import DAY, address, apply, file_of, only, package_of

# Authentication and responses of an installation


def test_a_token_a_cookie_and_a_namespace(api: KfpApi, tmp_path: Path) -> None:
    api.token, api.cookie, api.multi_user = "secret", "authservice_session=x", True
    known = address(api, token="secret", cookies="authservice_session=x", namespace="team-a")
    client = connect(known)
    assert apply(client, api, tmp_path).action == "created" and apply(client, api, tmp_path).action == "unchanged"
    (experiment,), (pipeline,) = api.experiments.values(), api.pipelines.values()
    assert experiment["namespace"] == pipeline["namespace"] == "team-a"
    with pytest.raises(UserError, match="is a multi-user installation: set your namespace"):
        connect(replace(known, namespace=None))


@pytest.mark.parametrize(
    ("fault", "said", "why", "kind"),
    [
        (Fault("", 401), {}, "requires authentication: pass a token with --token-file or HUBLINE_KFP_TOKEN", UserError),
        (Fault("", 401), {"token": "old"}, "rejects the token, .* expired", UserError),
        (
            Fault("", 302, headers={"Location": "/dex"}, body="<html>"),
            {},
            "requires authentication.*COOKIES",
            UserError,
        ),
        (Fault("", 200, body="<html>log in"), {}, "responds with a web page. If it is a login page", UserError),
        (Fault("", 403), {"namespace": "team-b"}, "not authorized for namespace team-b", UserError),
        (Fault("", 404), {}, "is this the address of Kubeflow Pipelines 2", UserError),
        (Fault("", 409), {}, "already exists: as the test has it: 409", UserError),
        (Fault("", 503, times=99), {}, "responds with 503 Service Unavailable; try again later", RunError),
        (Fault("", 500), {}, "responds with 500 Internal Server Error", RunError),
    ],
)
def test_what_the_api_answers_is_explained(
    api: KfpApi, tmp_path: Path, fault: Fault, said: dict[str, str], why: str, kind: type
) -> None:
    api.faults = [fault]
    with pytest.raises(UserError, match=why) as caught:
        recurring_runs.scheduled(connect(address(api, **said)))
    assert type(caught.value) is kind and api.host in str(caught.value)
    assert "secret" not in str(caught.value)


def test_an_address_where_nobody_answers_is_named() -> None:
    with pytest.raises(RunError, match=r"http://127\.0\.0\.1:9: no response: .*Connection refused"):
        connect(Address("http://127.0.0.1:9", first_wait=0.001))


def test_an_api_that_hangs_is_given_up(api: KfpApi, monkeypatch) -> None:
    monkeypatch.setattr("hubline.pipeline.kubeflow.api.TIME_LIMITS", (1, 0.2))
    api.faults = [Fault("", 0)]
    with pytest.raises(RunError, match="no response within"):
        connect(address(api))
    assert len(api.calls) == 1, "what has taken its time is not asked again"


def test_what_may_pass_is_asked_again_and_a_run_is_begun_once(client: Client, api: KfpApi, tmp_path: Path) -> None:
    api.faults = [Fault("GET", 503, times=3)]
    run = submit(client, file_of(tmp_path), package_of(tmp_path), {})
    assert list(api.runs) == [run.id]
    api.faults = [Fault("POST /apis/v2beta1/runs", 503, done=True)]
    with pytest.raises(RunError, match="503"):
        submit(client, file_of(tmp_path), package_of(tmp_path), {})
    assert len(api.runs) == 2, "the call whose answer was lost is not repeated"


def test_lists_of_many_pages_are_read_to_the_end(client: Client, api: KfpApi, tmp_path: Path) -> None:
    apply(client, api, tmp_path)
    recurring = only(api)
    api.tick(START + DAY)
    (under_way,) = api.runs.values()
    for number in range(250):
        run = dict(under_way, run_id=str(number), recurring_run_id="another", state="RUNNING")
        api.runs[str(number)] = run
    assert schedule.delete(client, "taxi-tips") == (recurring["recurring_run_id"],)
