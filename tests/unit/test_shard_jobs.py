"""The indexed Job of a step whose shards several pods share, against a fake Kubernetes API with the Job controller."""

import logging
import os
import re
import signal
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes import client as kubernetes

from hubline.core import interruption
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.workers import job_run, preflight
from hubline.pipeline.kubeflow.workers.job_run import JobRunner
from hubline.pipeline.kubeflow.workers.jobs import connect
from hubline.pipeline.kubeflow.workers.settings import WorkerPods
from hubline.pipeline.kubeflow.workers.shard_watch import ShardWatch
from hubline.pipeline.kubeflow.workers.shards import Shares
from hubline.pipeline.kubeflow.workers.state import WorkerPod
from tests.support.training_cluster import OWN, Script, Scripted, TrainingCluster

KEY = "kubeflow.steps.Embedder.workers"
OUT_OF_MEMORY = Script(137, reason="OOMKilled")
EVICTED = Script(143, status={"reason": "Evicted", "message": "low on memory", "conditions": [
    {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": "low on memory"}
]})  # fmt: skip
NO_GPU = "0/5 nodes are available: 5 Insufficient nvidia.com/gpu."
UNSCHEDULABLE = {
    "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_GPU}]
}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingCluster]:
    """A cluster; this process is in its pod `OWN`."""
    monkeypatch.setattr(job_run, "PAUSE_SECONDS", 0.005)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KFP_POD_NAME", OWN)
    cluster = TrainingCluster()
    with cluster.serving(tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield cluster


def run(
    cluster: TrainingCluster, scripts: dict[tuple[int, int], Script], count: int = 3, memory: str = "8Gi", **job: Any
) -> list[str]:
    """Runs a job; returns the lines of its log. Scripts are by the number of the pod with an index, and the index."""
    cluster.kubelet, lines = Scripted(scripts), list[str]()
    placement = {"memory": memory, "gpus": 1, "workers": count}
    values = {"step": "Embedder", "kind": "shards", "job": job, "image": "x", "placement": placement}
    pods = WorkerPods.model_validate(values)
    with connect(pods.kind, pods.workers_key) as jobs:
        runner = JobRunner(jobs, pods, "0123abcd", ["/minio"])
        watch = ShardWatch(pods, count)
        runner.run(runner.workers(count), ["worker", "job.json"], watch, lambda line, worker: lines.append(line))
    return lines


def nothing_is_left(cluster: TrainingCluster) -> bool:
    return not cluster.jobs and not cluster.workers and not cluster.services


def test_workers_do_their_shares_and_everything_is_deleted(cluster: TrainingCluster) -> None:
    assert run(cluster, {(0, 0): Script(lines=("done",))}) == ["done"]
    assert nothing_is_left(cluster)
    (job,) = cluster.created
    assert job["metadata"]["labels"] == {"pipeline/runid": "run-7", "hubline-work": "0123abcd"}
    assert job["metadata"]["ownerReferences"][0]["name"] == OWN
    assert job["metadata"]["name"].startswith("embedder-0123abcd-")


def unknown_fields(value: Any, kind: str) -> Iterator[str]:
    """Fields that the API doesn't have, by the types that Kubernetes' client has from the API's description."""
    if inner := re.fullmatch(r"list\[(\w+)\]|dict\(str, (\w+)\)", kind):
        for each in value.values() if isinstance(value, dict) else value:
            yield from unknown_fields(each, inner[1] or inner[2])
    elif kind.startswith("V1"):
        model = getattr(kubernetes, kind)
        types = {field: model.openapi_types[name] for name, field in model.attribute_map.items()}
        for field, each in value.items():
            if field in types:
                yield from unknown_fields(each, types[field])
            else:
                yield f"{kind}.{field}"


def test_the_job_has_only_fields_that_kubernetes_knows(cluster: TrainingCluster) -> None:
    run(cluster, {}, restarts=2, labels={"kueue.x-k8s.io/queue-name": "gpus"})
    (job,) = cluster.created
    newer = {"V1JobSpec.backoffLimitPerIndex", "V1JobSpec.maxFailedIndexes"}  # than an older client
    assert not {*unknown_fields(job, "V1Job")} - newer
    assert list(unknown_fields({"spec": {"template": {"metdata": {}}}}, "V1Job")) == ["V1PodTemplateSpec.metdata"]
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (2, 0)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never", "Kubernetes requires it for a pod failure policy"
    assert pod["containers"][0]["resources"]["limits"] == {"memory": "8Gi", "nvidia.com/gpu": "1"}


def test_a_worker_that_is_killed_is_replaced_and_others_go_on(
    cluster: TrainingCluster, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hubline"):
        run(cluster, {(0, 1): OUT_OF_MEMORY, (1, 1): Script(lines=("resumed",))})
    assert len(cluster.created) == 1, "the same job"
    why = "worker 1: killed (OOMKilled, exit code 137): it needs more than kubeflow.steps.Embedder.memory: 8Gi"
    assert why in caplog.messages
    assert nothing_is_left(cluster)


def test_a_worker_that_is_killed_too_often_fails_the_step(cluster: TrainingCluster) -> None:
    with pytest.raises(RunError) as caught:
        run(cluster, {(attempt, 1): OUT_OF_MEMORY for attempt in range(5)}, restarts=2)
    assert str(caught.value).startswith(
        "worker 1: killed (OOMKilled, exit code 137): it needs more than kubeflow.steps.Embedder.memory: 8Gi; it was "
        "replaced 2 times (kubeflow.workers.restarts). "
    )
    assert nothing_is_left(cluster)


def test_evictions_count_as_no_restart(cluster: TrainingCluster) -> None:
    run(cluster, {(0, 1): EVICTED, (1, 1): EVICTED}, restarts=0)
    assert nothing_is_left(cluster)


def test_a_pod_that_vanishes_is_replaced(cluster: TrainingCluster) -> None:
    run(cluster, {(0, 1): Script(0, vanishes=True)}, restarts=1)
    assert nothing_is_left(cluster)
    with pytest.raises(RunError, match=r"^worker 1: its pod was deleted; it was replaced 0 times"):
        run(cluster, {(0, 1): Script(0, vanishes=True)}, restarts=0)


@pytest.mark.parametrize(("code", "message"), [(2, "shard 7 is damaged"), (1, "KeyError: 'x'")])
def test_an_error_of_a_worker_ends_the_job_at_once(cluster: TrainingCluster, code: int, message: str) -> None:
    failing = Script(code, message=f"2026 info\n{message}\n")
    with pytest.raises(RunError, match=f"^worker 2: failed with exit code {code}: {message}$"):
        run(cluster, {(0, 2): failing, (0, 0): Script(None), (0, 1): Script(None)})
    assert nothing_is_left(cluster)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "why"),
    [
        (UNSCHEDULABLE, f"worker 1: Unschedulable: {NO_GPU}"),
        (
            TrainingCluster._containers("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}),
            "worker 1: ImagePullBackOff: not found",
        ),
    ],
)
def test_workers_that_cannot_start_are_explained(cluster: TrainingCluster, status: dict, why: str) -> None:
    with pytest.raises(RunError, match="2 of 3 workers have not started in 1 seconds") as caught:
        run(cluster, {(0, 1): Script(pending=status), (0, 2): Script(pending=status)}, pending_seconds=1)
    assert why in str(caught.value) and "kubeflow.workers.pending_seconds" in str(caught.value)
    assert nothing_is_left(cluster)


def test_workers_take_turns_where_a_cluster_has_fewer_gpus(cluster: TrainingCluster) -> None:
    """A worker may wait longer than `pending_seconds` as long as another one runs."""
    values = {"step": "Embedder", "kind": "shards", "job": {"pending_seconds": 1}, "image": "x", "placement": {}}
    watch = ShardWatch(WorkerPods.model_validate(values), 2)
    job = {"kind": "Job", "metadata": {"name": "embedder"}, "status": {}}

    def pod(index: int, phase: str) -> WorkerPod:
        return WorkerPod(index, {"metadata": {"uid": f"{index}", "name": "x"}, "spec": {}, "status": {"phase": phase}})

    waiting = ["worker 1: Unschedulable"]
    assert not watch.is_done(job, [pod(0, "Pending"), pod(1, "Pending")], [*waiting, "worker 0: Unschedulable"])
    watch._idle_since = -1e9  # long ago
    assert not watch.is_done(job, [pod(0, "Running"), pod(1, "Pending")], waiting)
    assert not watch.is_done(job, [pod(0, "Succeeded"), pod(1, "Pending")], waiting), "the time begins anew"
    watch._idle_since = -1e9
    with pytest.raises(RunError, match="1 of 2 workers have not started"):
        watch.is_done(job, [pod(0, "Succeeded"), pod(1, "Pending")], waiting)


def test_a_step_that_is_terminated_deletes_the_job(cluster: TrainingCluster) -> None:
    cluster.kubelet = Scripted({(0, 0): Script(None, lines=("started",)), (0, 1): Script(None)})
    values = {"step": "Embedder", "kind": "shards", "image": "x", "placement": {}}
    pods = WorkerPods.model_validate(values)
    with connect(pods.kind, KEY) as jobs, interruption.handled(), pytest.raises(interruption.Interrupted):
        runner = JobRunner(jobs, pods, "0123abcd", [])
        runner.run(runner.workers(2), ["worker"], ShardWatch(pods, 2), lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert nothing_is_left(cluster)


def test_such_a_job_needs_no_service(cluster: TrainingCluster) -> None:
    cluster.denied = {("create", "services"), ("create", "tfjobs")}
    preflight.check("shards", KEY)
    cluster.denied = {("create", "jobs")}
    with pytest.raises(RunError, match=rf"^{KEY}: the service account .* not allowed to: create jobs;"):
        preflight.check("shards", KEY)


@given(st.lists(st.integers(0, 10_000), unique=True, min_size=1), st.data())
def test_every_task_is_in_one_share(tasks: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(tasks)))
    shares = Shares(executor="x", tasks=tuple(tasks), count=count)
    stage: Any = SimpleNamespace(distinct=range(10_001))
    done = [shares.of(index, stage) for index in range(count)]
    assert sorted(chain.from_iterable(done)) == sorted(tasks)
    assert max(map(len, done)) - min(map(len, done)) <= 1 and min(map(len, done)) >= 1
