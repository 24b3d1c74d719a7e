"""Client for the workers' jobs, their pods and events."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client as kubernetes
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException
from urllib3.response import HTTPResponse

from hubline.components import cluster
from hubline.components.cluster import REQUEST_SECONDS, Subject
from hubline.pipeline.kubeflow.workers.manifests import JOB_LABEL, KINDS, WORK_LABEL, Kind
from hubline.pipeline.kubeflow.workers.pod import CONTAINER
from hubline.pipeline.kubeflow.workers_config import KindName

Json = dict[str, Any]

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_ROLE = "docs/kubeflow.md"


class Jobs:
    """Jobs of one kind in the namespace of this pod, or of the kubeconfig's context."""

    def __init__(self, api: kubernetes.ApiClient, kind: Kind, namespace: str) -> None:
        self._api, self.kind, self.namespace = api, kind, namespace
        self._objects, self._core = kubernetes.CustomObjectsApi(api), kubernetes.CoreV1Api(api)
        self._of_kind = {"group": kind.group, "version": kind.version, "namespace": namespace, "plural": kind.plural}

    def own_pod(self) -> Json:
        """The pod that this process runs in.

        Raises:
            RunError: if there is no such pod, or the cluster refuses.
        """
        name = os.environ.get("KFP_POD_NAME") or socket.gethostname()
        with self._asking(f"pod {name}, which runs this step", "get"):
            pod = self._core.read_namespaced_pod(name, self.namespace, _request_timeout=REQUEST_SECONDS)
        return self._as_json(pod)

    def is_running(self, pod: str, uid: str) -> bool:
        """Whether a pod exists and has not ended."""
        with self._asking(f"pod {pod}", "get"):
            try:
                found = self._core.read_namespaced_pod(pod, self.namespace, _request_timeout=REQUEST_SECONDS)
            except ApiException as error:
                if error.status == 404:
                    return False
                raise
        return found.metadata.uid == uid and found.status.phase not in ("Succeeded", "Failed")

    def create(self, job: Json, service: Json | None) -> None:
        """Creates a job, after its service.

        Raises:
            RunError: if the cluster refuses, or does not know the kind.
        """
        if service is not None:
            with self._asking(f"Service {service['metadata']['name']}", "create"):
                self._core.create_namespaced_service(self.namespace, service, _request_timeout=REQUEST_SECONDS)
        with self._asking(f"{self.kind.name} {job['metadata']['name']}", "create"):
            self._objects.create_namespaced_custom_object(**self._of_kind, body=job, _request_timeout=REQUEST_SECONDS)

    def get(self, name: str) -> Json | None:
        """A job; None if it doesn't exist."""
        with self._asking(f"{self.kind.name} {name}", "get"):
            try:
                return self._objects.get_namespaced_custom_object(
                    **self._of_kind, name=name, _request_timeout=REQUEST_SECONDS
                )
            except ApiException as error:
                if error.status == 404 and cluster.status(error).get("details", {}).get("name") == name:
                    return None
                raise

    def of_work(self, work: str) -> list[Json]:
        """The jobs whose workers do the same work."""
        with self._asking(f"{self.kind.plural} of the same work", "list"):
            return self._objects.list_namespaced_custom_object(
                **self._of_kind, label_selector=f"{WORK_LABEL}={work}", _request_timeout=REQUEST_SECONDS
            )["items"]

    def delete(self, name: str) -> None:
        """Deletes a job with its pods, and its service; does nothing if there are none."""
        if self.kind.has_service:
            with self._asking(f"Service {name}", "delete"), _unless_missing():
                self._core.delete_namespaced_service(name, self.namespace, _request_timeout=REQUEST_SECONDS)
        # In the background, jobs vanish at once; `pods` says when their pods have ended.
        options = kubernetes.V1DeleteOptions(propagation_policy="Background")
        with self._asking(f"{self.kind.name} {name}", "delete"), _unless_missing():
            self._objects.delete_namespaced_custom_object(
                **self._of_kind, name=name, body=options, _request_timeout=REQUEST_SECONDS
            )

    def pods(self, name: str) -> list[Json]:
        """The pods of a job."""
        with self._asking(f"pods of {name}", "list"):
            found = self._core.list_namespaced_pod(
                self.namespace, label_selector=f"{JOB_LABEL}={name}", _request_timeout=REQUEST_SECONDS
            )
        return [self._as_json(pod) for pod in found.items]

    def warnings(self, content: Json) -> list[str]:
        """Messages of the warnings about an object, oldest first."""
        name, uid = content["metadata"]["name"], content["metadata"]["uid"]
        with self._asking(f"events of {name}", "list"):
            found = self._core.list_namespaced_event(
                self.namespace, field_selector=f"involvedObject.uid={uid}", _request_timeout=REQUEST_SECONDS
            )
        events = [each for each in found.items if each.type == "Warning"]
        return list(dict.fromkeys(f"{each.reason}: {each.message}" for each in events))

    def follow(self, pod: str) -> HTTPResponse:
        """The log of a pod, until the pod ends. Each line begins with its time."""
        with self._asking(f"log of pod {pod}", "read"):
            return self._core.read_namespaced_pod_log(
                pod,
                self.namespace,
                container=CONTAINER,
                follow=True,
                timestamps=True,
                _preload_content=False,
                _request_timeout=(REQUEST_SECONDS, None),
            )

    def may(self, verb: str, group: str, resource: str, subresource: str = "") -> bool:
        """Whether this pod's service account is allowed to do something in the namespace."""
        attributes = {"namespace": self.namespace, "verb": verb, "group": group, "resource": resource}
        if subresource:
            attributes["subresource"] = subresource
        with self._asking("permissions of the service account", "review"):
            review = kubernetes.AuthorizationV1Api(self._api).create_self_subject_access_review(
                {"spec": {"resourceAttributes": attributes}}, _request_timeout=REQUEST_SECONDS
            )
        return review.status.allowed

    def is_known(self) -> bool:
        """Whether the cluster knows the kind."""
        with self._asking(f"kinds of {self.kind.group}/{self.kind.version}", "list"):
            try:
                found = self._objects.get_api_resources(
                    self.kind.group, self.kind.version, _request_timeout=REQUEST_SECONDS
                )
            except ApiException as error:
                if error.status == 404:
                    return False
                raise
        return self.kind.plural in {each.name for each in found.resources}

    def _asking(self, name: str, verb: str) -> Any:
        return Subject(name, self.namespace, _ROLE, self.kind.missing).asking(verb)

    def _as_json(self, value: Any) -> Json:
        return self._api.sanitize_for_serialization(value)


@contextmanager
def connect(kind: KindName, key: str) -> Iterator[Jobs]:
    """Connects to the cluster.

    Args:
        kind: Kind of the jobs.
        key: Key of the pipeline file that needs the cluster, for error messages.

    Raises:
        UserError: if there is no cluster.
    """
    with cluster.connect(key) as api:
        yield Jobs(api, KINDS[kind], _own_namespace())


def _own_namespace() -> str:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return _NAMESPACE.read_text().strip()
    _, active = kubernetes_config.list_kube_config_contexts(os.environ.get("KUBECONFIG"))
    return active["context"].get("namespace", "default")


@contextmanager
def _unless_missing() -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        if error.status != 404:
            raise
