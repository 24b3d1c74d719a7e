"""Roll-outs to an InferenceService, against a fake Kubernetes API with KServe."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from hubline.components.kserve import roll_out
from hubline.components.kserve.inference_service import OwnedFields
from hubline.core.errors import UserError
from tests.support.kserve import ONE, RAW, THREE, TWO, fails, model, predictor, serve
from tests.support.kubernetes_api import KubernetesApi, Refusal, kubeconfig

SERVERLESS = {"serving.kserve.io/deploymentMode": "Knative"}


@pytest.mark.parametrize(("mode", "annotations"), [("serverless", SERVERLESS), ("raw", RAW)])
def test_the_first_version_makes_the_service(cluster: KubernetesApi, state: str, mode: str, annotations: dict) -> None:
    service = serve(state, ONE, mode=mode, service_account="reader")
    assert predictor(cluster) == {"model": model(ONE), "serviceAccountName": "reader"}
    assert cluster.services["taxi"]["metadata"]["annotations"] == annotations
    assert cluster.shares[-1] == {ONE: 100}
    assert service.url == "http://taxi.models.example"


@pytest.mark.parametrize("mode", ["serverless", "raw"])
def test_the_next_version_is_waited_for_and_not_its_predecessor(cluster: KubernetesApi, state: str, mode: str) -> None:
    serve(state, ONE, mode=mode)
    serve(state, TWO, mode=mode)
    assert predictor(cluster)["model"] == model(TWO)
    assert cluster.shares[-1] == {TWO: 100}, "and not at the first look, when the service is still ready with the first"


@pytest.mark.parametrize("mode", ["serverless", "raw"])
def test_kserve_0_16_is_told_the_mode_as_it_calls_it(cluster: KubernetesApi, state: str, mode: str) -> None:
    cluster.is_0_16 = True
    serve(state, ONE, mode=mode)
    serve(state, TWO, mode=mode)
    assert cluster.services["taxi"]["metadata"]["annotations"] == (RAW if mode == "raw" else SERVERLESS)
    assert cluster.shares[-1] == {TWO: 100}


@pytest.mark.parametrize("mode", ["serverless", "raw"])
def test_what_others_have_set_stays(cluster: KubernetesApi, state: str, mode: str) -> None:
    mine = {"minReplicas": 2, "model": model(ONE) | {"runtime": "theirs", "resources": {"limits": {"cpu": "4"}}}}
    spec = {"predictor": mine | {"serviceAccountName": "theirs"}, "transformer": {"containers": [{"image": "x"}]}}
    annotations = {**(RAW if mode == "raw" else SERVERLESS), "team": "a"}
    cluster.add("taxi", deepcopy(spec), deepcopy(annotations), labels={"cost": "center"})
    serve(state, TWO, mode=mode)
    spec["predictor"]["model"]["storageUri"] = TWO
    service = cluster.services["taxi"]
    assert service["spec"] == spec
    assert (service["metadata"]["annotations"], service["metadata"]["labels"]) == (annotations, {"cost": "center"})


@pytest.mark.parametrize("mode", ["serverless", "raw"])
def test_again_changes_nothing(cluster: KubernetesApi, state: str, mode: str) -> None:
    serve(state, ONE, mode=mode)
    done = len(cluster.changes)
    assert serve(state, ONE, mode=mode).ours.storage_uri == ONE
    assert len(cluster.changes) == done == 1


@pytest.mark.parametrize("mode", ["serverless", "raw"])
def test_a_version_that_does_not_become_ready_gives_way_to_what_was(
    cluster: KubernetesApi, state: str, mode: str
) -> None:
    spec = {"predictor": {"minReplicas": 0, "model": model(ONE), "serviceAccountName": "theirs"}}
    cluster.add("taxi", deepcopy(spec), deepcopy(RAW if mode == "raw" else SERVERLESS))
    cluster.broken = TWO
    said = fails(state, TWO, "models/taxi: .*/2 is not ready after", mode=mode, service_account="reader")
    assert f"What served before is put back: {ONE}." in said
    assert cluster.services["taxi"]["spec"] == spec
    assert all(shares == {ONE: 100} for shares in cluster.shares), "the first was asked all along"


def test_the_reason_that_kserve_gives_is_told(cluster: KubernetesApi, state: str) -> None:
    cluster.broken = ONE
    said = fails(state, ONE, "the revision taxi-predictor-00001 is not ready")
    assert "PredictorReady: RevisionFailed: Container failed: no versions of servable found" in said
    assert "Stopped" not in said, "which is good where it is not true"


def test_a_service_that_never_was_ready_is_deleted_again(cluster: KubernetesApi, state: str) -> None:
    cluster.broken = ONE
    assert "The service was new, and is deleted again." in fails(state, ONE, "not ready")
    assert cluster.services == {}
    cluster.broken = None
    serve(state, ONE)
    assert cluster.shares[-1] == {ONE: 100}


def test_a_version_that_failed_is_tried_again(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    cluster.broken = TWO
    fails(state, TWO, "not ready")
    cluster.broken = None
    serve(state, TWO)
    assert cluster.shares[-1] == {TWO: 100}


def test_a_canary_gets_its_share_and_the_first_version_all(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE, canary_percent=10)
    assert "canaryTrafficPercent" not in predictor(cluster)
    serve(state, TWO, canary_percent=10)
    assert cluster.shares[-1] == {ONE: 90, TWO: 10}
    assert predictor(cluster)["canaryTrafficPercent"] == 10


def test_the_file_promotes_a_canary(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    serve(state, TWO, canary_percent=10)
    service = serve(state, TWO, canary_percent=50)
    assert service.traffic == 50, "and not what it was at the first look"
    assert cluster.shares[-1] == {ONE: 50, TWO: 50}
    assert serve(state, TWO).traffic == 100
    assert cluster.shares[-1] == {TWO: 100}
    assert "canaryTrafficPercent" not in predictor(cluster)


@pytest.mark.parametrize(
    ("by_hand", "stays"),
    [(None, {TWO: 100}), (60, {ONE: 40, TWO: 60}), (0, {ONE: 100, TWO: 0})],
    ids=["promoted", "raised", "taken back"],
)
def test_a_share_that_people_set_is_not_made_smaller_nor_given_again(
    cluster: KubernetesApi, state: str, by_hand: int | None, stays: dict[str, int]
) -> None:
    serve(state, ONE)
    serve(state, TWO, canary_percent=10)
    cluster.set("taxi", canaryTrafficPercent=by_hand)
    serve(state, TWO, canary_percent=10)
    assert cluster.shares[-1] == stays


def test_another_canary_takes_the_place_of_the_first(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    serve(state, TWO, canary_percent=10)
    serve(state, THREE, canary_percent=30)
    assert cluster.shares[-1] == {ONE: 70, THREE: 30}
    assert all(shares.get(TWO, 0) <= 10 for shares in cluster.shares)


@pytest.mark.parametrize("percent", [None, 30, 5])
def test_a_version_that_fails_while_a_canary_is_out_loses_neither(
    cluster: KubernetesApi, state: str, percent: int | None
) -> None:
    serve(state, ONE)
    serve(state, TWO, canary_percent=10)
    cluster.broken = THREE
    said = fails(state, THREE, "not ready", canary_percent=percent)
    assert f"put back: {TWO}, with 10 % of the requests" in said
    cluster.act("taxi", 5)
    assert cluster.shares[-1] == {ONE: 90, TWO: 10}
    assert all(shares.get(TWO, 0) <= 10 for shares in cluster.shares), (
        "KServe would have taken it for the last good one"
    )


def test_a_version_for_all_follows_a_canary(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    serve(state, TWO, canary_percent=10)
    serve(state, THREE)
    assert cluster.shares[-1] == {THREE: 100}
    assert all(shares.get(TWO, 0) <= 10 for shares in cluster.shares)


def test_a_new_version_follows_one_that_was_taken_back(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    serve(state, TWO, canary_percent=10)
    cluster.set("taxi", canaryTrafficPercent=0)
    begin = len(cluster.shares)
    serve(state, THREE, canary_percent=20)
    assert cluster.shares[-1] == {ONE: 80, THREE: 20}
    assert all(shares.get(TWO, 0) == 0 for shares in cluster.shares[begin:])


def test_a_version_that_people_have_gone_back_from_stays_away(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    serve(state, TWO)
    cluster.set("taxi", model={"storageUri": ONE})
    assert serve(state, TWO).ours.storage_uri == ONE
    assert cluster.shares[-1] == {ONE: 100}
    serve(state, THREE)
    assert cluster.shares[-1] == {THREE: 100}


class Killed(BaseException):
    pass


def killed_at(monkeypatch: pytest.MonkeyPatch, place: str, state: str, uri: str, **values: Any) -> None:
    """Runs the step until it reaches one of its functions, and kills it there."""

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(roll_out, place, killed)
        with pytest.raises(Killed):
            serve(state, uri, timeout_seconds=20, **values)


KILLED_AT = ["wait", "_give_share"]


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("place", KILLED_AT)
def test_a_step_that_was_killed_goes_on(
    cluster: KubernetesApi, state: str, monkeypatch: pytest.MonkeyPatch, place: str, broken: bool
) -> None:
    serve(state, ONE)
    serve(state, TWO, canary_percent=10)
    killed_at(monkeypatch, place, state, THREE)
    if not broken:
        serve(state, THREE)
        assert cluster.shares[-1] == {THREE: 100}
    elif place == "wait":
        cluster.broken = THREE
        assert f"put back: {TWO}, with 10 % of the requests" in fails(state, THREE, "not ready")
        cluster.act("taxi", 5)
        assert cluster.shares[-1] == {ONE: 90, TWO: 10}


def test_a_service_whose_maker_was_killed_is_deleted_where_it_fails(
    cluster: KubernetesApi, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.broken = ONE
    killed_at(monkeypatch, "wait", state, ONE)
    assert "taxi" in cluster.services
    assert "deleted again" in fails(state, ONE, "not ready")


def test_a_killed_steps_version_is_not_what_is_put_back(
    cluster: KubernetesApi, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(state, ONE)
    cluster.broken = "models"
    killed_at(monkeypatch, "wait", state, TWO)
    assert f"put back: {ONE}" in fails(state, THREE, "not ready")
    assert predictor(cluster)["model"]["storageUri"] == ONE


def test_a_step_that_was_killed_before_it_changed_anything_begins_anew(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    roll_out.write_state(state, roll_out.RollOut(storage_uri=TWO, before=OwnedFields(storage_uri="gs://long/gone")))
    cluster.broken = TWO
    assert f"put back: {ONE}" in fails(state, TWO, "not ready")


@pytest.mark.parametrize("exists", [False, True])
def test_of_two_who_change_it_at_once_neither_loses(cluster: KubernetesApi, state: str, exists: bool) -> None:
    if exists:
        cluster.add("taxi", {"predictor": {"model": model(ONE)}})
    cluster.conflicts = 2 if exists else 1
    serve(state, TWO)
    assert cluster.shares[-1] == {TWO: 100}
    assert len(cluster.services["taxi"]["metadata"].get("labels", {})) == (2 if exists else 0)


def test_a_conflict_while_it_is_put_back_is_met_too(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    cluster.broken = TWO
    with pytest.MonkeyPatch.context() as patch:
        put_back = roll_out.put_back

        def with_conflict(*given: Any) -> str:
            cluster.conflicts, patched = 1, put_back
            patch.setattr(roll_out, "put_back", patched)
            return put_back(*given)

        patch.setattr(roll_out, "put_back", with_conflict)
        assert f"put back: {ONE}" in fails(state, TWO, "not ready")
    assert cluster.services["taxi"]["metadata"]["labels"]


@pytest.mark.parametrize("exists", [False, True])
def test_a_change_whose_answer_is_lost_is_known_again(cluster: KubernetesApi, state: str, exists: bool) -> None:
    if exists:
        serve(state, ONE)
    cluster.lost, cluster.broken = 1, TWO
    expected = f"put back: {ONE}" if exists else "deleted again"
    assert expected in fails(state, TWO, "not ready")


def test_an_api_that_does_not_answer_for_a_while_is_waited_for(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    with pytest.MonkeyPatch.context() as patch:
        wait = roll_out.wait

        def with_failures(*given: Any):
            cluster.failures = 3
            return wait(*given)

        patch.setattr(roll_out, "wait", with_failures)
        serve(state, TWO)
    assert cluster.shares[-1] == {TWO: 100}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cluster: cluster.services.pop("taxi"), "was deleted by someone else"),
        (lambda cluster: cluster.set("taxi", model={"storageUri": THREE}), f"changed to {THREE} by someone else"),
    ],
)
def test_what_others_do_meanwhile_stays(cluster: KubernetesApi, state: str, change: Any, message: str) -> None:
    serve(state, ONE)
    with pytest.MonkeyPatch.context() as patch:
        wait = roll_out.wait

        def after_others(*given: Any):
            change(cluster)
            return wait(*given)

        patch.setattr(roll_out, "wait", after_others)
        fails(state, TWO, message)
    assert "taxi" not in cluster.services or predictor(cluster)["model"]["storageUri"] == THREE


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        ({"refuses": Refusal(401, "Unauthorized", "Unauthorized")}, "does not know who asks; renew the credentials"),
        (
            {"refuses": Refusal(403, "Forbidden", 'User "runner" cannot get resource "inferenceservices"')},
            'not allowed to get it; docs/kserve.md has the Role .* User "runner" cannot get',
        ),
        ({"refuses": Refusal(400, "BadRequest", "admission webhook denied it")}, "cannot get it; .* webhook denied it"),
        ({"installed": False}, "KServe is not installed"),
        ({"namespace": "elsewhere"}, "there is no namespace models"),
        ({"failures": 100}, "not able to answer; Kubernetes says: etcd has no leader"),
    ],
)
def test_why_a_cluster_cannot_be_asked_is_told(
    cluster: KubernetesApi, state: str, setup: dict[str, Any], message: str
) -> None:
    vars(cluster).update(setup)
    said = fails(state, ONE, message)
    assert said.startswith("InferenceService models/taxi: ")
    assert cluster.services == {}


def test_a_cluster_that_is_not_there_is_told(cluster: KubernetesApi, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path, "http://127.0.0.1:1")))
    fails(f"{tmp_path}/state.json", ONE, "Kubernetes doesn't answer")


def test_without_a_kubeconfig_there_is_no_cluster(cluster: KubernetesApi, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    with pytest.raises(UserError, match=r"serving\.kserve: no cluster: .*KUBECONFIG or ~/.kube/config"):
        serve(f"{tmp_path}/state.json", ONE)


def test_a_service_of_another_mode_or_format_is_refused(cluster: KubernetesApi, state: str) -> None:
    cluster.add("taxi", {"predictor": {"model": model(ONE)}}, dict(RAW))
    fails(state, TWO, "deploys it in the mode raw, but serving.kserve.mode is serverless")
    cluster.services.clear()
    cluster.add("taxi", {"predictor": {"model": {"modelFormat": {"name": "sklearn"}, "storageUri": ONE}}})
    fails(state, TWO, "models of the format sklearn, not tensorflow")
    assert predictor(cluster)["model"]["storageUri"] == ONE


def test_what_others_do_at_the_last_moment_stays(cluster: KubernetesApi, state: str) -> None:
    serve(state, ONE)
    cluster.broken = TWO
    with pytest.MonkeyPatch.context() as patch:
        put_back = roll_out.put_back

        def after_others(*given: Any) -> str:
            cluster.set("taxi", model={"storageUri": THREE})
            return put_back(*given)

        patch.setattr(roll_out, "put_back", after_others)
        assert "Somebody else has changed it meanwhile" in fails(state, TWO, "not ready")
    assert predictor(cluster)["model"]["storageUri"] == THREE
