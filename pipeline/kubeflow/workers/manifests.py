"""Manifests of the workers' job, of either kind.

No job restarts a worker by itself: `MultiWorkerMirroredStrategy` can't readmit one, so all workers are restarted
together, by a new job (`coordinator.py`). Fields of a TFJob:
https://github.com/kubeflow/training-operator/blob/v1.9.0/pkg/apis/kubeflow.org/v1/tensorflow_types.go
"""

from dataclasses import dataclass
from typing import Any

from hubline.pipeline.kubeflow.workers.pod import PORT, PORT_NAME
from hubline.pipeline.kubeflow.workers_config import WorkerJob

Json = dict[str, Any]


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


KINDS = {
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
        index_label="batch.kubernetes.io/job-completion-index",
        missing="this cluster knows no Jobs",
    ),
}

JOB_LABEL = "hubline-job"
"""Label of a worker's pod: the name of its job."""
TRAINING_LABEL = "hubline-training"
"""Label of a job: the key of the checkpoints that its workers write."""


@dataclass(frozen=True)
class Workers:
    """A job to create."""

    name: str
    """A DNS label; the names of the pods begin with it."""
    namespace: str
    training: str
    """Key of the checkpoints."""
    count: int
    settings: WorkerJob
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
        return {**self.settings.labels, **run, TRAINING_LABEL: self.training}

    @property
    def hosts(self) -> list[str]:
        """Addresses of the workers of an indexed Job; Training Operator makes up those of a TFJob."""
        return [f"{self.name}-{index}.{self.name}.{self.namespace}.svc:{PORT}" for index in range(self.count)]


def job(workers: Workers, template: Json) -> Json:
    """The job."""
    kind = KINDS[workers.settings.kind]
    limit = {} if workers.seconds is None else {"activeDeadlineSeconds": workers.seconds}
    spec = _of_tfjob if workers.settings.kind == "tfjob" else _of_indexed_job
    return {
        "apiVersion": f"{kind.group}/{kind.version}",
        "kind": kind.name,
        "metadata": workers.metadata(workers.labels),
        "spec": spec(workers, template, limit),
    }


def service(workers: Workers) -> Json | None:
    """The headless service that gives the workers of an indexed Job their names; None if the operator creates one."""
    if workers.settings.kind == "tfjob":
        return None
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": workers.metadata({TRAINING_LABEL: workers.training}),
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
    named = template | {"spec": template["spec"] | {"subdomain": workers.name, "restartPolicy": "Never"}}
    return {
        "completionMode": "Indexed",
        "completions": workers.count,
        "parallelism": workers.count,
        "backoffLimit": 0,
        "template": named,
        **limit,
    }
