"""Training with several workers on Kubeflow, against a fake Kubernetes API with Training Operator and the Job
controller."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hubline.core import interruption
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.placement import Placement
from hubline.pipeline.kubeflow.workers import job_run, manifests, preflight, training_watch
from hubline.pipeline.kubeflow.workers.coordinator import Coordinator
from hubline.pipeline.kubeflow.workers.jobs import connect
from hubline.pipeline.kubeflow.workers.settings import WorkerPods
from tests.support.training_cluster import OWN, Script, Scripted, TrainingCluster

KINDS = ["tfjob", "job"]
KEY = "training.workers"
DIGEST = "registry.example/hubline@sha256:1"
NO_GPU = "0/5 nodes are available: 5 Insufficient nvidia.com/gpu."
UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_GPU}
PREEMPTED = {
    "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "more important pods",
}  # fmt: skip


@pytest.fixture
def training_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingCluster]:
    """A cluster; this process is in its pod `OWN`."""
    monkeypatch.setattr(job_run, "PAUSE_SECONDS", 0.005)
    monkeypatch.setattr(training_watch, "GRACE_SECONDS", 0.2)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KFP_POD_NAME", OWN)
    cluster = TrainingCluster()
    with cluster.serving(tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield cluster


def run(kind: str, count: int = 2, placement: Placement | None = None, **job: Any) -> tuple[list[str], list[str]]:
    """Trains; returns the reasons of restarts, and the lines of the workers' logs."""
    lines: list[str] = []
    values = {"kind": kind, "job": job, "image": DIGEST, "placement": placement or Placement()}
    pods = WorkerPods.model_validate(values)
    with connect(pods.kind, pods.workers_key) as jobs:
        restarts = Coordinator(jobs, pods, "0123abcd", count, ["/minio"]).run(
            lambda hosts: ["job.json", ",".join(hosts)],
            lambda line, worker: lines.append(f"{worker}: {line}"),
        )
    return restarts, sorted(lines)


def scripted(cluster: TrainingCluster, scripts: dict[tuple[int, int], Script]) -> None:
    cluster.kubelet = Scripted(scripts)


def nothing_is_left(cluster: TrainingCluster) -> bool:
    return not cluster.jobs and not cluster.workers and not cluster.services


@pytest.mark.parametrize("kind", KINDS)
def test_workers_train_and_everything_is_deleted(training_cluster: TrainingCluster, kind: str) -> None:
    scripted(training_cluster, {(0, 0): Script(lines=("epoch 1", "epoch 2")), (0, 1): Script(lines=("ready",))})
    restarts, lines = run(kind)
    assert restarts == []
    assert lines == ["worker 0: epoch 1", "worker 0: epoch 2", "worker 1: ready"]
    assert nothing_is_left(training_cluster)
    *services, job = training_cluster.created
    owner = {"apiVersion": "v1", "kind": "Pod", "name": OWN, "uid": "0badcafe-1"}
    assert all(each["metadata"]["ownerReferences"] == [owner] for each in [*services, job])
    assert job["metadata"]["labels"] == {"pipeline/runid": "run-7", "hubline-work": "0123abcd"}
    assert len(services) == (kind == "job"), "Training Operator makes its own"


def test_a_tfjob_has_workers_only_and_never_restarts_one(training_cluster: TrainingCluster) -> None:
    run("tfjob", 4, Placement(timeout_seconds=600), labels={"kueue.x-k8s.io/queue-name": "gpus"})
    (job,) = training_cluster.created
    assert job["apiVersion"] == "kubeflow.org/v1"
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert job["spec"]["runPolicy"] == {"cleanPodPolicy": "Running", "activeDeadlineSeconds": 600}
    (replicas,) = job["spec"]["tfReplicaSpecs"].values()
    assert (replicas["replicas"], replicas["restartPolicy"]) == (4, "Never")


def test_an_indexed_job_gives_each_worker_a_name(training_cluster: TrainingCluster) -> None:
    run("job", 3)
    service, job = training_cluster.created
    name, spec = job["metadata"]["name"], job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"], spec["backoffLimit"]) == (
        "Indexed", 3, 3, 0,
    )  # fmt: skip
    assert (service["metadata"]["name"], spec["template"]["spec"]["subdomain"]) == (name, name)
    assert (service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"]) == ("None", True)
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    (container,) = spec["template"]["spec"]["containers"]
    assert container["args"][1] == ",".join(f"{name}-{index}.{name}.team.svc:2222" for index in range(3))
    assert len(f"{name}-99") <= 63, "a host name"


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_is_killed_is_survived_by_a_new_job(training_cluster: TrainingCluster, kind: str) -> None:
    killed, lost = Script(137, reason="OOMKilled", at=5), Script(138, at=7)
    scripted(training_cluster, {(0, 1): killed, (0, 0): lost, (1, 0): Script(lines=("resumed",))})
    restarts, lines = run(kind)
    assert restarts == ["worker 1: killed (OOMKilled, exit code 137)"], "and not worker 0, which lost its connection"
    assert lines == ["worker 0: resumed"]
    names = [each["metadata"]["name"] for each in training_cluster.created if each["kind"] != "Service"]
    assert len(set(names)) == 2
    assert nothing_is_left(training_cluster)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (Script(143, status={"reason": "Evicted", "message": "low on memory"}), "worker 1: Evicted: low on memory"),
        (Script(143, status={"conditions": [PREEMPTED]}), "worker 1: PreemptionByScheduler: more important pods"),
        (Script(None, vanishes=True), "1 were deleted, as preemption and draining of a node do"),
        (Script(138), "worker 1: lost its connection to another worker"),
    ],
)
def test_what_befalls_a_pod_from_outside_restarts_the_workers(
    training_cluster: TrainingCluster, script: Script, why: str
) -> None:
    scripted(training_cluster, {(0, 1): script, (0, 0): Script(None)})
    restarts, _ = run("tfjob")
    (said,) = restarts
    assert said.endswith(why)
    assert nothing_is_left(training_cluster)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_a_worker_is_passed_on_and_not_tried_again(training_cluster: TrainingCluster, kind: str) -> None:
    message = "2026 info\nshard 7 is damaged\n"
    scripted(training_cluster, {(0, 1): Script(2, message=message, at=3), (0, 0): Script(138, at=4)})
    with pytest.raises(RunError, match=r"^worker 1: failed with exit code 2: shard 7 is damaged$"):
        run(kind)
    assert len([each for each in training_cluster.created if each["kind"] != "Service"]) == 1
    assert nothing_is_left(training_cluster)


def test_restarts_have_a_limit(training_cluster: TrainingCluster) -> None:
    scripted(training_cluster, {(attempt, 0): Script(137) for attempt in range(5)})
    with pytest.raises(RunError, match=r"exit code 137\); the workers were restarted 2 times"):
        run("tfjob", restarts=2)
    assert len(training_cluster.created) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "why"),
    [
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": UNSCHEDULABLE}
                ]
            },
            f"worker 1: Unschedulable: {UNSCHEDULABLE}",
        ),
        (
            TrainingCluster._containers("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}),
            "worker 1: ImagePullBackOff: not found",
        ),
    ],
)
def test_workers_that_cannot_start_are_explained(training_cluster: TrainingCluster, status: dict, why: str) -> None:
    scripted(training_cluster, {(0, 1): Script(pending=status), (0, 0): Script(None)})
    with pytest.raises(RunError, match="1 of 2 workers have not started in 1 seconds") as caught:
        run("tfjob", pending_seconds=1)
    assert why in str(caught.value)
    assert nothing_is_left(training_cluster)


@pytest.mark.slow
def test_a_quota_that_allows_no_pods_is_told_by_its_event(training_cluster: TrainingCluster) -> None:
    training_cluster.quota = "pods is forbidden: exceeded quota: gpus"
    with pytest.raises(RunError, match="worker 0: FailedCreate: pods is forbidden: exceeded quota: gpus"):
        run("tfjob", pending_seconds=1)


@pytest.mark.slow
def test_a_job_that_a_queue_holds_back_is_told(training_cluster: TrainingCluster) -> None:
    training_cluster.suspended = True
    with pytest.raises(RunError, match="the job is suspended: Job suspended"):
        run("job", pending_seconds=1)


def test_a_cluster_that_does_not_answer_for_a_while_is_waited_for(training_cluster: TrainingCluster) -> None:
    with connect("tfjob", "training.workers") as jobs:
        pods = WorkerPods.model_validate({"image": "x", "placement": {}})
        training = Coordinator(jobs, pods, "0123", 2, [])
        lines: list[str] = []

        def write(line: str, worker: str) -> None:
            lines.append(line)
            training_cluster.failures = 4

        scripted(training_cluster, {(0, 0): Script(lines=("ready",))})
        assert training.run(lambda hosts: [], write) == []
    assert lines == ["ready"]
    assert nothing_is_left(training_cluster)


def test_a_job_of_a_step_that_was_killed_gives_way_and_one_that_is_watched_stays(
    training_cluster: TrainingCluster,
) -> None:
    def left(owner: str) -> None:
        labels = {"hubline-work": "0123abcd"}
        references = [{"kind": "Pod", "name": owner, "uid": "0badcafe-1"}]
        metadata = {"name": f"trainer-of-{owner}", "labels": labels, "ownerReferences": references}
        training_cluster.jobs[f"trainer-of-{owner}"] = {"kind": "TFJob", "metadata": metadata, "spec": {}}

    left("killed")
    run("tfjob")
    assert training_cluster.deleted[0] == "trainer-of-killed"
    left(OWN)
    with pytest.raises(RunError, match=f"trains the same model, and is watched by the pod {OWN}; wait for that run"):
        run("tfjob")
    assert list(training_cluster.jobs) == [f"trainer-of-{OWN}"]


def test_a_cluster_without_training_operator_is_told_at_the_start(training_cluster: TrainingCluster) -> None:
    preflight.check("tfjob", KEY)
    training_cluster.installed = False
    for start in (lambda: preflight.check("tfjob", KEY), lambda: run("tfjob")):
        with pytest.raises(RunError, match=r"knows no TFJobs: install .*Operator 1.x .*training: \{kind: job\}"):
            start()
    preflight.check("job", KEY)
    run("job")


def test_missing_permissions_are_told_at_the_start(training_cluster: TrainingCluster) -> None:
    training_cluster.denied = {("create", "tfjobs"), ("get", "pods/log")}
    with pytest.raises(
        RunError, match=r"is not allowed to: create tfjobs, get pods/log; docs/kubeflow.md has the Role"
    ):
        preflight.check("tfjob", KEY)
    with pytest.raises(RunError, match=r"not allowed to create it; docs/kubeflow.md has the Role"):
        run("tfjob")
    training_cluster.denied = {("create", "tfjobs")}
    preflight.check("job", KEY)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_that_is_terminated_deletes_the_job(training_cluster: TrainingCluster, kind: str) -> None:
    scripted(training_cluster, {(0, 0): Script(None, lines=("epoch 1",)), (0, 1): Script(None)})

    def terminate(line: str, worker: str) -> None:
        training_cluster.failures = 2  # the cluster is busy just then
        os.kill(os.getpid(), signal.SIGTERM)

    pods = WorkerPods.model_validate({"kind": kind, "image": DIGEST, "placement": {}})
    with connect(pods.kind, KEY) as jobs, interruption.handled(), pytest.raises(interruption.Interrupted):
        Coordinator(jobs, pods, "0123abcd", 2, []).run(lambda hosts: [], terminate)
    assert nothing_is_left(training_cluster)


def test_the_role_in_the_docs_is_what_the_step_needs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "kubeflow.md").read_text()
    (role,) = [text for text in page.split("```yaml\n") if text.startswith("apiVersion: rbac")]
    rules = next(iter(YAML(typ="safe").load_all(role.partition("```")[0])))["rules"]
    written = {
        (group, resource): set(each["verbs"])
        for each in rules
        for group in each["apiGroups"]
        for resource in each["resources"]
    }
    needed: dict[tuple[str, str], set[str]] = {}
    for kind in KINDS:
        for group, resource, subresource, verbs in preflight.needed(manifests.KINDS[kind]):
            needed[group, f"{resource}/{subresource}" if subresource else resource] = set(verbs)
    assert written == needed
