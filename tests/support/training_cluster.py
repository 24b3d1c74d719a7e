"""A fake Kubernetes API server with Training Operator, the Job controller and a kubelet.

Training Operator follows https://github.com/kubeflow/training-operator/tree/v1.9.0/pkg/controller.v1 (tensorflow/,
common/job.go), the Job controller https://github.com/kubernetes/kubernetes/tree/v1.34.0/pkg/controller/job. Both take
one step before each read of a job; the kubelet before each list of pods.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from tests.support import shard_jobs
from tests.support.kubernetes_api import Refusal, kubeconfig, responded

Json = dict[str, Any]

NAMESPACE = "team"
OWN = "pipeline-trainer-1"
_PLURALS = {"tfjobs": "/apis/kubeflow.org/v1", "jobs": "/apis/batch/v1"}
_AT = "2026-11-30T12:00:00Z"


class Kubelet(Protocol):
    """Runs the containers of pods."""

    def start(self, pod: Json) -> Json | None:
        """Starts a pod; returns the fields of its status while it can't start, or None."""

    def terminated(self, pod: Json) -> Json | None:
        """The `terminated` state of a pod's container; None while it runs."""

    def log(self, pod: Json) -> Iterator[str]:
        """The lines of a pod's log, until it ends."""

    def kill(self, pod: Json) -> None:
        """Ends a pod."""


@dataclass
class Script:
    """What a pod does."""

    code: int | None = 0
    """Exit code; None if it runs on."""
    lines: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""
    at: int = 0
    """The second at which it ends."""
    status: Json = field(default_factory=dict)
    """Further fields of the pod's status, such as a condition or the reason of an eviction."""
    pending: Json | None = None
    """Status of a pod that can't start."""
    vanishes: bool = False
    """Whether the pod is deleted while it runs, as preemption does."""


@dataclass
class Scripted:
    """A kubelet whose containers do as told, by number of the job (of the pod with this index, if the Job replaces
    pods) and index of the worker."""

    scripts: dict[tuple[int, int], Script] = field(default_factory=dict)

    def script(self, pod: Json) -> Script:
        is_replaced = shard_jobs.FAILURES in pod["metadata"]["annotations"]
        job = int(pod["metadata"]["labels"]["hubline-job"].rpartition("-")[2])
        attempt = shard_jobs.attempt_of(pod) if is_replaced else job
        return self.scripts.get((attempt, index_of(pod)), Script())

    def start(self, pod: Json) -> Json | None:
        return self.script(pod).pending

    def terminated(self, pod: Json) -> Json | None:
        script = self.script(pod)
        if script.code is None:
            return None
        at = f"2026-11-30T12:00:{script.at:02}Z"
        reason = script.reason or ("Error" if script.code else "Completed")
        return {"exitCode": script.code, "reason": reason, "message": script.message, "finishedAt": at}

    def log(self, pod: Json) -> Iterator[str]:
        yield from self.script(pod).lines

    def kill(self, pod: Json) -> None:
        pass


def index_of(pod: Json) -> int:
    labels = pod["metadata"]["labels"]
    found = labels.get("training.kubeflow.org/replica-index") or labels["batch.kubernetes.io/job-completion-index"]
    return int(found)


@dataclass
class TrainingCluster:
    """The cluster. All objects are in one namespace."""

    kubelet: Kubelet = field(default_factory=Scripted)
    installed: bool = True
    """Whether Training Operator is installed."""
    denied: set[tuple[str, str]] = field(default_factory=set)
    """Verb and resource of what the service account may not do."""
    failures: int = 0
    """Number of further calls that fail with 503."""
    quota: str = ""
    """Why no pods can be created."""
    suspended: bool = False
    """Whether jobs are suspended, as Kueue does."""
    jobs: dict[str, Json] = field(default_factory=dict)
    pods: dict[str, Json] = field(default_factory=dict)
    services: dict[str, Json] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    created: list[Json] = field(default_factory=list)
    """All jobs and services that were created, in order."""
    deleted: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    """Pods whose logs were read."""
    vanished: set[str] = field(default_factory=set)
    """Jobs of which a pod was deleted."""
    lost: Counter[int] = field(default_factory=Counter)
    """Number of pods that were deleted, by index."""
    numbers: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        spec = {
            "serviceAccountName": "pipeline-runner",
            "securityContext": {"fsGroup": 0},
            "containers": [
                {"name": "wait", "image": "argo"},
                {"name": "main", "image": "x", "securityContext": {"allowPrivilegeEscalation": False}},
            ],
        }
        labels = {"pipeline/runid": "run-7", "workflows.argoproj.io/workflow": "taxi-abc"}
        self.pods[OWN] = {
            "metadata": {"name": OWN, "namespace": NAMESPACE, "uid": "0badcafe-1", "labels": labels},
            "spec": spec,
            "status": {"phase": "Running"},
        }

    @property
    def workers(self) -> list[Json]:
        return [pod for name, pod in self.pods.items() if name != OWN]

    def application(self, request: Request) -> Response:
        """Handles one request."""
        if request.path.endswith("/log"):
            return Response(self._log(request.path.split("/")[-2]), content_type="text/plain")
        with self.lock:
            return responded(lambda: self._answer(request))

    def _answer(self, request: Request) -> Json:
        if self.failures:
            self.failures -= 1
            raise Refusal(503, "ServiceUnavailable", "etcd has no leader")
        path = request.path
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            return self._review(request.get_json())
        for plural, root in _PLURALS.items():
            if path == root:
                self._known(plural)
                resource = {"name": plural, "singularName": "", "namespaced": True, "kind": "?", "verbs": []}
                return {"groupVersion": root.removeprefix("/apis/"), "resources": [resource]}
            collection = f"{root}/namespaces/{NAMESPACE}/{plural}"
            if path.startswith(collection):
                self._known(plural)
                return self._of_jobs(request, plural, path.removeprefix(collection).lstrip("/"))
        kind, _, name = path.removeprefix(f"/api/v1/namespaces/{NAMESPACE}/").partition("/")
        if kind == "events":
            wanted = request.args["fieldSelector"].removeprefix("involvedObject.uid=")
            return {"items": [each for each in self.events if each["involvedObject"]["uid"] == wanted]}
        if kind == "services" and request.method == "POST":
            return self._add(self.services, request.get_json())
        if kind == "services":
            return self._remove(self.services, name, kind)
        if kind == "pods" and name:
            return self._found(self.pods, name, kind)
        label, _, wanted = request.args["labelSelector"].partition("=")
        self._run_pods()
        return {"items": [pod for pod in self.pods.values() if pod["metadata"]["labels"].get(label) == wanted]}

    def _known(self, plural: str) -> None:
        if plural == "tfjobs" and not self.installed:
            raise LookupError(plural)

    def _review(self, body: Json) -> Json:
        asked = body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (asked["resource"], asked.get("subresource"))))
        return {"spec": body["spec"], "status": {"allowed": (asked["verb"], resource) not in self.denied}}

    def _of_jobs(self, request: Request, plural: str, name: str) -> Json:
        if request.method == "POST":
            if ("create", plural) in self.denied:
                raise Refusal(403, "Forbidden", f"{plural} is forbidden: User cannot create resource")
            return self._add(self.jobs, request.get_json())
        if request.method == "DELETE":
            assert request.get_json()["propagationPolicy"] == "Background"
            answer = self._remove(self.jobs, name, plural)
            for pod in [pod for pod in self.workers if pod["metadata"]["ownerReferences"][0]["name"] == name]:
                self._delete_pod(pod)
            return answer
        if name:
            job = self._found(self.jobs, name, plural)
            self._reconcile(job)
            return deepcopy(job)
        label, _, wanted = request.args["labelSelector"].partition("=")
        return {"items": [job for job in self.jobs.values() if job["metadata"]["labels"].get(label) == wanted]}

    def _add(self, objects: dict[str, Json], body: Json) -> Json:
        name = body["metadata"]["name"]
        if name in objects:
            raise Refusal(409, "AlreadyExists", f'"{name}" already exists', name=name)
        self.numbers += 1
        body["metadata"]["uid"] = f"uid-{self.numbers}"
        objects[name] = body
        self.created.append(deepcopy(body))
        return body

    def _found(self, objects: dict[str, Json], name: str, kind: str) -> Json:
        if name not in objects:
            raise Refusal(404, "NotFound", f'{kind} "{name}" not found', name=name, kind=kind)
        return objects[name]

    def _remove(self, objects: dict[str, Json], name: str, kind: str) -> Json:
        self._found(objects, name, kind)
        del objects[name]
        self.deleted.append(name)
        return {"kind": "Status", "status": "Success"}

    def _delete_pod(self, pod: Json) -> None:
        self.kubelet.kill(pod)
        self.pods.pop(pod["metadata"]["name"], None)

    # Controllers

    def _reconcile(self, job: Json) -> None:
        is_tfjob, name = job["kind"] == "TFJob", f"{NAMESPACE}/{job['metadata']['name']}"
        conditions = job.setdefault("status", {}).setdefault("conditions", [])
        if not conditions and is_tfjob:
            _set(job, "Created", f"TFJob {job['metadata']['name']} is created.")
        if self.suspended:
            _set(job, "Suspended", "Job suspended")
            return
        if any(each["type"] in ("Succeeded", "Failed", "Complete") and each["status"] == "True" for each in conditions):
            return
        if "backoffLimitPerIndex" in job["spec"]:
            self._reconcile_shards(job)
            return
        replicas = job["spec"]["tfReplicaSpecs"]["Worker"] if is_tfjob else job["spec"]
        count = replicas["replicas"] if is_tfjob else replicas["completions"]
        pods = {index_of(pod): pod for pod in self.workers}
        if job["metadata"]["name"] not in self.vanished:
            for index in sorted(set(range(count)) - pods.keys()):
                self._create_pod(job, replicas, index, count)
        phases = {index: pod["status"]["phase"] for index, pod in pods.items()}
        failed = [index for index, phase in phases.items() if phase == "Failed"]
        # Controllers see a pod that is deleted by force as a failed one, and then end the job.
        failed += [index for index in range(count) if index not in pods and job["metadata"]["name"] in self.vanished]
        succeeded = [index for index, phase in phases.items() if phase == "Succeeded"]
        if is_tfjob:
            active = [index for index, phase in phases.items() if phase == "Running"]
            job["status"]["replicaStatuses"] = {
                "Worker": {"active": len(active), "succeeded": len(succeeded), "failed": len(failed)}
            }
        if failed:
            message = f"TFJob {name} has failed because {len(failed)} Worker replica(s) failed."
            message = message if is_tfjob else "Job has reached the specified backoff limit"
            _set(job, "Failed", message)
        elif is_tfjob and 0 in succeeded:
            _set(job, "Succeeded", f"TFJob {name} successfully completed.")
        elif not is_tfjob and len(succeeded) == count:
            _set(job, "Complete", "Reached expected number of succeeded pods")
        elif is_tfjob and active:
            _set(job, "Running", f"TFJob {name} is running.")
            return
        else:
            return
        self._end_active(list(pods.values()))  # cleanPodPolicy: Running; a Job always ends its active pods

    def _reconcile_shards(self, job: Json) -> None:
        name, spec = job["metadata"]["name"], job["spec"]
        pods = [pod for pod in self.workers if pod["metadata"]["labels"]["hubline-job"] == name]
        failed, create, indexes = shard_jobs.decided(spec, pods, self.lost)
        for index, annotations in create.items():
            self._create_pod(job, spec, index, spec["completions"], annotations)
        if failed:
            job["status"]["failedIndexes"] = indexes
            _set(job, "FailureTarget", failed)
            _set(job, "Failed", failed)
        elif len([pod for pod in pods if pod["status"]["phase"] == "Succeeded"]) == spec["completions"]:
            _set(job, "Complete", "Reached expected number of succeeded pods")
        else:
            return
        self._end_active(pods)

    def _end_active(self, pods: list[Json]) -> None:
        for pod in pods:
            if pod["status"]["phase"] in ("Running", "Pending"):
                self._delete_pod(pod)

    def _create_pod(
        self, job: Json, replicas: Json, index: int, count: int, annotations: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        name, kind = job["metadata"]["name"], job["kind"]
        if self.quota:
            involved = {"name": name, "kind": kind, "uid": job["metadata"]["uid"]}
            event = {"type": "Warning", "reason": "FailedCreate", "message": self.quota, "involvedObject": involved}
            self.events.append(event | {"metadata": {"name": f"event-{len(self.events)}"}})
            return
        self.numbers += 1
        template = deepcopy(replicas["template"])
        labels = template["metadata"]["labels"]
        (container,) = template["spec"]["containers"]
        env = container.setdefault("env", [])
        if kind == "TFJob":
            pod_name = f"{name}-worker-{index}"
            labels |= {
                "training.kubeflow.org/replica-index": str(index),
                "training.kubeflow.org/replica-type": "worker",
                "training.kubeflow.org/job-name": name,
            }
            hosts = [f"{name}-worker-{each}.{NAMESPACE}.svc:2222" for each in range(count)]
            config = {
                "cluster": {"worker": hosts},
                "task": {"type": "worker", "index": index},
                "environment": "cloud",
            }
            assert container["name"] == "tensorflow", "the operator sets TF_CONFIG in this container only"
            env.append({"name": "TF_CONFIG", "value": json.dumps(config)})
        else:
            pod_name = f"{name}-{index}-{self.numbers:05}"
            labels["batch.kubernetes.io/job-completion-index"] = str(index)
            template["metadata"].setdefault("annotations", {})["batch.kubernetes.io/job-completion-index"] = str(index)
            template["metadata"]["annotations"] |= annotations
            template["spec"]["hostname"] = f"{name}-{index}"
            env.append({"name": "JOB_COMPLETION_INDEX", "value": str(index)})
        metadata = template["metadata"] | {
            "name": pod_name,
            "namespace": NAMESPACE,
            "uid": f"uid-{self.numbers}",
            "creationTimestamp": _AT,
            "ownerReferences": [{"apiVersion": job["apiVersion"], "kind": kind, "name": name, "uid": "?"}],
        }
        self.pods[pod_name] = {"metadata": metadata, "spec": template["spec"], "status": {"phase": "Pending"}}

    # Kubelet

    def _run_pods(self) -> None:
        for pod in self.workers:
            phase = pod["status"]["phase"]
            if phase == "Pending":
                waiting = self.kubelet.start(pod)
                running = self._containers("Running", {"running": {}})
                pod["status"] = {"phase": "Pending", **waiting} if waiting else running
            elif phase == "Running":
                self._end(pod)

    def _end(self, pod: Json) -> None:
        script = self.kubelet.script(pod) if isinstance(self.kubelet, Scripted) else Script()
        if script.vanishes and pod["metadata"]["name"] in self.followed:
            script.vanishes = False
            self._delete_pod(pod)
            self.vanished.add(pod["metadata"]["labels"]["hubline-job"])
            self.lost[index_of(pod)] += 1
        elif ended := self.kubelet.terminated(pod):
            phase = "Failed" if ended["exitCode"] else "Succeeded"
            pod["status"] = self._containers(phase, {"terminated": ended}) | script.status

    @staticmethod
    def _containers(phase: str, state: Json) -> Json:
        container = {"name": "tensorflow", "image": "x", "imageID": "x", "ready": True, "restartCount": 0}
        return {"phase": phase, "containerStatuses": [container | {"state": state}]}

    def _log(self, name: str) -> Iterator[str]:
        with self.lock:
            pod = self.pods[name]
            self.followed.append(name)
        for number, line in enumerate(self.kubelet.log(pod)):
            yield f"2026-11-30T12:00:{number // 60:02}.{number:09}Z {line}\n"
        while name in self.pods and self.pods[name]["status"]["phase"] == "Running":
            time.sleep(0.005)

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Path]:
        """Kubeconfig of the cluster while it serves."""
        server = make_server("127.0.0.1", 0, Request.application(self.application), threaded=True)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield kubeconfig(folder, f"http://127.0.0.1:{server.port}", NAMESPACE)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def _set(job: Json, kind: str, message: str) -> None:
    """`UpdateJobConditions`: a finished job no longer has the condition Running."""
    conditions = [each for each in job["status"]["conditions"] if each["type"] != kind]
    for each in conditions:
        if each["type"] == "Running" and kind in ("Failed", "Succeeded"):
            each["status"] = "False"
    job["status"]["conditions"] = [*conditions, {"type": kind, "status": "True", "message": message}]
