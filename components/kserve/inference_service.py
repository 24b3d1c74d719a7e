"""Client for an InferenceService, its spec and its status.

https://kserve.github.io/website/docs/reference/crd-api; the status is written by
https://github.com/kserve/kserve/blob/master/pkg/apis/serving/v1beta1/inference_service_status.go.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes import client as kubernetes
from kubernetes.client.exceptions import ApiException

from hubline.components import cluster
from hubline.components.cluster import REQUEST_SECONDS, Subject
from hubline.components.config.serving import InferenceService as Config
from hubline.core.config_base import Section

Json = dict[str, Any]

_GROUP, _VERSION, _PLURAL = "serving.kserve.io", "v1beta1", "inferenceservices"
_MODE = f"{_GROUP}/deploymentMode"
_MODES = {"Serverless": "serverless", "Knative": "serverless", "RawDeployment": "raw", "Standard": "raw"}
_WRITTEN_MODES = {"serverless": "Serverless", "raw": "RawDeployment"}
"""The names that every version of KServe accepts; newer versions convert them."""


class OwnedFields(Section):
    """The fields of an InferenceService that Hubline owns; it leaves all others alone."""

    storage_uri: str
    canary_percent: int | None = None
    service_account: str | None = None

    @property
    def percent(self) -> int:
        """Percentage of the requests that go to the newest model."""
        return 100 if self.canary_percent is None else self.canary_percent

    def at(self, percent: int) -> "OwnedFields":
        """A copy with another percentage."""
        return self.model_copy(update={"canary_percent": None if percent == 100 else percent})

    def spec(self) -> Json:
        """As a merge patch, in which null removes a key."""
        return {
            "predictor": {
                "canaryTrafficPercent": self.canary_percent,
                "serviceAccountName": self.service_account,
                "model": {"modelFormat": {"name": "tensorflow"}, "storageUri": self.storage_uri},
            }
        }


@dataclass(frozen=True)
class InferenceService:
    """Snapshot of an InferenceService."""

    content: Json

    @property
    def ours(self) -> OwnedFields:
        """The current values of the fields that Hubline owns."""
        predictor = self.content["spec"]["predictor"]
        return OwnedFields(
            storage_uri=predictor.get("model", {}).get("storageUri", ""),
            canary_percent=predictor.get("canaryTrafficPercent"),
            service_account=predictor.get("serviceAccountName"),
        )

    @property
    def model_format(self) -> str:
        """Model format of the predictor; empty if it is a custom one."""
        return self.content["spec"]["predictor"].get("model", {}).get("modelFormat", {}).get("name", "")

    @property
    def metadata(self) -> Json:
        return self.content["metadata"]

    @property
    def status(self) -> Json:
        return self.content.get("status", {})

    @property
    def mode(self) -> str | None:
        """Deployment mode; None if not known yet."""
        said = self.status.get("deploymentMode") or self.metadata.get("annotations", {}).get(_MODE)
        return _MODES.get(said)

    @property
    def mode_as_accepted(self) -> Json:
        """Metadata with which KServe 0.16 accepts a change: its status uses the mode's new name, and it mistakes the
        old name in the annotation for a change of mode."""
        has, told = self.metadata.get("annotations", {}).get(_MODE), self.status.get("deploymentMode")
        is_renamed = has and told and has != told and _MODES.get(has) == _MODES.get(told)
        return {"annotations": {_MODE: told}} if is_renamed else {}

    @property
    def url(self) -> str:
        """URL for requests; empty if not known yet."""
        return self.status.get("url", "")

    @property
    def created_revision(self) -> str:
        """The newest Knative revision; empty if there is none."""
        return self._predictor.get("latestCreatedRevision", "")

    @property
    def ready_revision(self) -> str:
        """The newest Knative revision that has become ready; empty if there is none."""
        return self._predictor.get("latestReadyRevision", "")

    @property
    def traffic(self) -> int | None:
        """Percentage of requests that Knative routes to the newest revision; None if not reported."""
        routes = self._predictor.get("traffic", [])
        return sum(route.get("percent", 0) for route in routes if route.get("latestRevision")) if routes else None

    @property
    def _predictor(self) -> Json:
        return self.status.get("components", {}).get("predictor", {})

    @property
    def complaints(self) -> list[str]:
        """The reasons why the service is not ready, one line each; empty if it is."""
        conditions = {each["type"]: each for each in self.status.get("conditions", [])}
        if conditions.get("Ready", {}).get("status") == "True":
            return []
        if not conditions:
            return ["KServe has not reported its status yet"]
        # `Stopped` and other conditions are not supposed to be true.
        lacking = [each for each in conditions.values() if each["type"].endswith("Ready") and each["status"] != "True"]
        said = [": ".join(filter(None, (each["type"], each.get("reason"), each.get("message")))) for each in lacking]
        failure = self.status.get("modelStatus", {}).get("lastFailureInfo", {})
        return said + ([": ".join(filter(None, map(failure.get, ("reason", "message"))))] if failure else [])


class InferenceServices:
    """Reads and writes one InferenceService, by name."""

    def __init__(self, api: kubernetes.ApiClient, config: Config) -> None:
        self._objects = kubernetes.CustomObjectsApi(api)
        self._deployments = kubernetes.AppsV1Api(api)
        self.config = config
        self._subject = Subject(
            self.name,
            config.namespace,
            role="docs/kserve.md",
            not_installed="this cluster knows no InferenceServices: KServe is not installed in it",
        )
        self._kind = {"group": _GROUP, "version": _VERSION, "namespace": config.namespace, "plural": _PLURAL}

    @property
    def name(self) -> str:
        """Name in messages."""
        return f"InferenceService {self.config.namespace}/{self.config.name}"

    def get(self) -> InferenceService | None:
        """The service; None if it doesn't exist.

        Raises:
            Unreachable: if the cluster does not answer.
            RunError: if the cluster refuses, or KServe is not installed.
        """
        with self._subject.asking("get"):
            try:
                return InferenceService(
                    self._objects.get_namespaced_custom_object(
                        **self._kind, name=self.config.name, _request_timeout=REQUEST_SECONDS
                    )
                )
            except ApiException as error:
                if error.status == 404 and cluster.status(error).get("details", {}).get("name") == self.config.name:
                    return None
                raise

    def create(self, ours: OwnedFields) -> None:
        """Creates the service, without a canary percentage, as the first version gets all requests.

        Raises:
            Conflict: if it exists already.
            RunError: as `get`.
        """
        body = {
            "apiVersion": f"{_GROUP}/{_VERSION}",
            "kind": "InferenceService",
            "metadata": {
                "name": self.config.name,
                "namespace": self.config.namespace,
                "annotations": {_MODE: _WRITTEN_MODES[self.config.mode]},
            },
            "spec": _without_nulls(ours.at(100).spec()),
        }
        with self._subject.asking("create"):
            self._objects.create_namespaced_custom_object(**self._kind, body=body, _request_timeout=REQUEST_SECONDS)

    def change(self, service: InferenceService, ours: OwnedFields) -> None:
        """Sets the fields that Hubline owns.

        Raises:
            Conflict: if the service has changed since `service` was read.
            RunError: as `get`.
        """
        metadata = {"resourceVersion": service.metadata["resourceVersion"], **service.mode_as_accepted}
        body = {"metadata": metadata, "spec": ours.spec()}
        with self._subject.asking("patch"):
            self._objects.patch_namespaced_custom_object(
                **self._kind, name=self.config.name, body=body, _request_timeout=REQUEST_SECONDS
            )

    def delete(self, service: InferenceService) -> None:
        """Deletes the service.

        Raises:
            Conflict: if it has been replaced by another one.
            RunError: as `get`.
        """
        same = kubernetes.V1Preconditions(uid=service.metadata["uid"])
        with self._subject.asking("delete"):
            self._objects.delete_namespaced_custom_object(
                **self._kind,
                name=self.config.name,
                body=kubernetes.V1DeleteOptions(preconditions=same),
                _request_timeout=REQUEST_SECONDS,
            )

    def deployments(self) -> list[kubernetes.V1Deployment]:
        """The deployments that KServe created for it in raw mode.

        Raises:
            RunError: as `get`.
        """
        with self._subject.asking("list deployments of"):
            return self._deployments.list_namespaced_deployment(
                self.config.namespace,
                label_selector=f"{_GROUP}/inferenceservice={self.config.name}",
                _request_timeout=REQUEST_SECONDS,
            ).items


@contextmanager
def connect(config: Config) -> Iterator[InferenceServices]:
    """Connects to the cluster that the step runs in, otherwise to that of the kubeconfig.

    Raises:
        UserError: if there is neither.
    """
    with cluster.connect("serving.kserve") as api:
        yield InferenceServices(api, config)


def _without_nulls(values: Mapping[str, Any]) -> Json:
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }
