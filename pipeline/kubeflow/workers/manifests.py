"""Manifests of the workers' job, of each kind.

A job that trains restarts no worker by itself: `MultiWorkerMirroredStrategy` can't readmit one, so all workers are
restarted together, by a new job (`coordinator.py`). A job over shards replaces each worker by itself.

Fields of a TFJob:
https://github.com/kubeflow/training-operator/blob/v1.9.0/pkg/apis/kubeflow.org/v1/tensorflow_types.go; of a Job:
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/
"""

from dataclasses import dataclass
from typing import Any

from hubline.pipeline.kubeflow.workers.pod import CONTAINER, PORT, PORT_NAME
from hubline.pipeline.kubeflow.workers_config import SHARDS, KindName, ShardJob

Json = dict[str, Any]

ERRORS = (1, 2)
"""Exit codes of a worker that found an error: 1 with a traceback, 2 with a message."""


@dataclass(frozen=True)
class Kind:
    """A kind of job."""

    group: str
    version: str
    plural: str
    name: str
    index_label: str
    """Label or annotation of a pod with the worker's index."""
    missing: str
    """What to say if the cluster does not know the kind."""
    has_service: bool = False
    """Whether the workers find each other by a service that we create."""


_INDEX = "batch.kubernetes.io/job-completion-index"

KINDS: dict[KindName, Kind] = {
    "tfjob": Kind(
        group="kubeflow.org",
        version="v1",
        plural="tfjobs",
        name="TFJob",
        index_label="training.kubeflow.org/replica-index",
        missing="this cluster knows no TFJobs: install Kubeflow's Training Operator 1.x (newer Trainers run no "
        "TensorFlow), or set kubeflow.training: {kind: job}, which needs no operator",
    ),
    "job": Kind(
        group="batch",
        version="v1",
        plural="jobs",
        name="Job",
        index_label=_INDEX,
        missing="this cluster knows no Jobs",
        has_service=True,
    ),
    SHARDS: Kind(
        group="batch",
        version="v1",
        plural="jobs",
        name="Job",
        index_label=_INDEX,
        missing="this cluster knows no Jobs",
    ),
}

JOB_LABEL = "hubline-job"
"""Label of a worker's pod: the name of its job."""
WORK_LABEL = "hubline-work"
"""Label of a job: the key of what its workers do."""


@dataclass(frozen=True)
class Workers:
    """A job to create."""

    name: str
    """A DNS label; the names of the pods begin with it."""
    namespace: str
    work: str
    """Key of what the workers do: of the checkpoints, or of the shards."""
    kind: KindName
    count: int
    settings: ShardJob
    seconds: int | None
    """Time limit, so that a job doesn't run forever if the step's pod is killed before it can delete it."""
    owner: Json
    """The step's own pod."""

    def metadata(self, labels: Json) -> Json:
        """Metadata of the job and of its service: Kubernetes deletes them with the step's pod."""
        pod = self.owner["metadata"]
        owner = {"apiVersion": "v1", "kind": "Pod", "name": pod["name"], "uid": pod["uid"]}
        return {"name": self.name, "namespace": self.namespace, "labels": labels, "ownerReferences": [owner]}

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the job."""
        run = {key: value for key, value in self.owner["metadata"].get("labels", {}).items() if key == "pipeline/runid"}
        return {**self.settings.labels, **run, WORK_LABEL: self.work}

    @property
    def hosts(self) -> list[str]:
        """Addresses of the workers of an indexed Job; Training Operator makes up those of a TFJob."""
        return [f"{self.name}-{index}.{self.name}.{self.namespace}.svc:{PORT}" for index in range(self.count)]


def job(workers: Workers, template: Json) -> Json:
    """The job."""
    kind = KINDS[workers.kind]
    limit = {} if workers.seconds is None else {"activeDeadlineSeconds": workers.seconds}
    spec = {"tfjob": _of_tfjob, "job": _of_indexed_job, SHARDS: _of_shards}[workers.kind]
    return {
        "apiVersion": f"{kind.group}/{kind.version}",
        "kind": kind.name,
        "metadata": workers.metadata(workers.labels),
        "spec": spec(workers, template, limit),
    }


def service(workers: Workers) -> Json | None:
    """The headless service that gives the workers of an indexed Job their names; None if they need none, or the
    operator creates one."""
    if not KINDS[workers.kind].has_service:
        return None
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": workers.metadata({WORK_LABEL: workers.work}),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {JOB_LABEL: workers.name},
            "ports": [{"name": PORT_NAME, "port": PORT}],
        },
    }


def _of_tfjob(workers: Workers, template: Json, limit: Json) -> Json:
    # Without `backoffLimit`: at the limit, the operator deletes failed pods, and with them the reason.
    replicas = {"replicas": workers.count, "restartPolicy": "Never", "template": template}
    return {"runPolicy": {"cleanPodPolicy": "Running", **limit}, "tfReplicaSpecs": {"Worker": replicas}}


def _of_indexed_job(workers: Workers, template: Json, limit: Json) -> Json:
    return _indexed(workers, template, subdomain=workers.name) | {"backoffLimit": 0, **limit}


def _of_shards(workers: Workers, template: Json, limit: Json) -> Json:
    """An indexed Job that replaces a lost worker by one with the same index.

    Kubernetes counts the failures of each index since 1.29. Older versions ignore that, and allow six of all workers.
    """
    errors = {"containerName": CONTAINER, "operator": "In", "values": list(ERRORS)}
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    return _indexed(workers, template) | {
        "backoffLimitPerIndex": workers.settings.restarts,
        "maxFailedIndexes": 0,
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [disrupted]},
                {"action": "FailJob", "onExitCodes": errors},
            ]
        },
        **limit,
    }


def _indexed(workers: Workers, template: Json, **more: str) -> Json:
    return {
        "completionMode": "Indexed",
        "completions": workers.count,
        "parallelism": workers.count,
        "template": template | {"spec": template["spec"] | {"restartPolicy": "Never", **more}},
    }
