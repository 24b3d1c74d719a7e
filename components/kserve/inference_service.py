"""An InferenceService as Kubernetes keeps it, and what it says of itself.

https://kserve.github.io/website/docs/reference/crd-api; the status is written by
https://github.com/kserve/kserve/blob/master/pkg/apis/serving/v1beta1/inference_service_status.go.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes import client as kubernetes
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from hubline.components.config.serving import InferenceService as Config
from hubline.core.config_base import Section
from hubline.core.errors import RunError, UserError

Json = dict[str, Any]

_GROUP, _VERSION, _PLURAL = "serving.kserve.io", "v1beta1", "inferenceservices"
_MODE = f"{_GROUP}/deploymentMode"
_MODES = {"Serverless": "serverless", "Knative": "serverless", "RawDeployment": "raw", "Standard": "raw"}
_WRITTEN_MODES = {"serverless": "Serverless", "raw": "RawDeployment"}
"""By the names that every version of KServe knows; newer ones make their own of them."""
_SECONDS = 30
"""That a call may take."""


class Conflict(RunError):
    """Somebody else was first; what is there now decides what is to be done."""


class Unreachable(RunError):
    """The cluster does not answer, and may later on."""


class Ours(Section):
    """What we say of an InferenceService; all else in it is other people's."""

    storage_uri: str
    canary_percent: int | None = None
    service_account: str | None = None

    @property
    def percent(self) -> int:
        """The share of the requests that the newest model answers."""
        return 100 if self.canary_percent is None else self.canary_percent

    def at(self, percent: int) -> "Ours":
        """The same with another share."""
        return self.model_copy(update={"canary_percent": None if percent == 100 else percent})

    def spec(self) -> Json:
        """As a merge patch has it, in which null takes a key away."""
        return {
            "predictor": {
                "canaryTrafficPercent": self.canary_percent,
                "serviceAccountName": self.service_account,
                "model": {"modelFormat": {"name": "tensorflow"}, "storageUri": self.storage_uri},
            }
        }


@dataclass(frozen=True)
class InferenceService:
    """One as it was when it was asked for."""

    content: Json

    @property
    def ours(self) -> Ours:
        """What we say of such a service, as it is in this one."""
        predictor = self.content["spec"]["predictor"]
        return Ours(
            storage_uri=predictor.get("model", {}).get("storageUri", ""),
            canary_percent=predictor.get("canaryTrafficPercent"),
            service_account=predictor.get("serviceAccountName"),
        )

    @property
    def model_format(self) -> str:
        """The format of the models that it serves; empty where it is made otherwise."""
        return self.content["spec"]["predictor"].get("model", {}).get("modelFormat", {}).get("name", "")

    @property
    def metadata(self) -> Json:
        """Names and the like."""
        return self.content["metadata"]

    @property
    def status(self) -> Json:
        """What KServe says of it."""
        return self.content.get("status", {})

    @property
    def mode(self) -> str | None:
        """How it is deployed, where that is known yet."""
        said = self.status.get("deploymentMode") or self.metadata.get("annotations", {}).get(_MODE)
        return _MODES.get(said)

    @property
    def mode_as_accepted(self) -> Json:
        """The metadata with which KServe 0.16 accepts a change: its status has the mode by the new name, and where the
        annotation has the old one it takes that for a change of the mode."""
        has, told = self.metadata.get("annotations", {}).get(_MODE), self.status.get("deploymentMode")
        is_renamed = has and told and has != told and _MODES.get(has) == _MODES.get(told)
        return {"annotations": {_MODE: told}} if is_renamed else {}

    @property
    def url(self) -> str:
        """Where it is asked; empty where that is not known yet."""
        return self.status.get("url", "")

    @property
    def created_revision(self) -> str:
        """The newest of Knative's revisions; empty where there is none."""
        return self._predictor.get("latestCreatedRevision", "")

    @property
    def ready_revision(self) -> str:
        """The newest of Knative's revisions that has been ready; empty where there is none."""
        return self._predictor.get("latestReadyRevision", "")

    @property
    def traffic(self) -> int | None:
        """The percentage of the requests that Knative has go to the newest revision, where it says so."""
        routes = self._predictor.get("traffic", [])
        return sum(route.get("percent", 0) for route in routes if route.get("latestRevision")) if routes else None

    @property
    def _predictor(self) -> Json:
        return self.status.get("components", {}).get("predictor", {})

    @property
    def complaints(self) -> list[str]:
        """What keeps it from being ready, a line each; none where it is."""
        conditions = {each["type"]: each for each in self.status.get("conditions", [])}
        if conditions.get("Ready", {}).get("status") == "True":
            return []
        if not conditions:
            return ["KServe has said nothing of it yet"]
        # `Stopped` and other conditions are good where they are not true.
        lacking = [each for each in conditions.values() if each["type"].endswith("Ready") and each["status"] != "True"]
        said = [": ".join(filter(None, (each["type"], each.get("reason"), each.get("message")))) for each in lacking]
        failure = self.status.get("modelStatus", {}).get("lastFailureInfo", {})
        return said + ([": ".join(filter(None, map(failure.get, ("reason", "message"))))] if failure else [])


class InferenceServices:
    """The InferenceService of a name in a cluster, whether it is there or not."""

    def __init__(self, api: kubernetes.ApiClient, config: Config) -> None:
        self._objects = kubernetes.CustomObjectsApi(api)
        self._deployments = kubernetes.AppsV1Api(api)
        self.config = config
        self._kind = {"group": _GROUP, "version": _VERSION, "namespace": config.namespace, "plural": _PLURAL}

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"InferenceService {self.config.namespace}/{self.config.name}"

    def get(self) -> InferenceService | None:
        """The service as it is; None where there is none.

        Raises:
            Unreachable: where the cluster does not answer.
            RunError: where it refuses, or KServe is not installed.
        """
        with self._asking("get"):
            try:
                return InferenceService(
                    self._objects.get_namespaced_custom_object(
                        **self._kind, name=self.config.name, _request_timeout=_SECONDS
                    )
                )
            except ApiException as error:
                if error.status == 404 and _status(error).get("details", {}).get("name") == self.config.name:
                    return None
                raise

    def create(self, ours: Ours) -> None:
        """Makes it. All of the requests go to its first version, so no share is said.

        Raises:
            Conflict: where it is there by now.
            RunError: as of `get`.
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
        with self._asking("create"):
            self._objects.create_namespaced_custom_object(**self._kind, body=body, _request_timeout=_SECONDS)

    def change(self, service: InferenceService, ours: Ours) -> None:
        """Makes what is ours in it as it is said, and leaves everything else.

        Raises:
            Conflict: where it is not as it was any more.
            RunError: as of `get`.
        """
        metadata = {"resourceVersion": service.metadata["resourceVersion"], **service.mode_as_accepted}
        body = {"metadata": metadata, "spec": ours.spec()}
        with self._asking("patch"):
            self._objects.patch_namespaced_custom_object(
                **self._kind, name=self.config.name, body=body, _request_timeout=_SECONDS
            )

    def delete(self, service: InferenceService) -> None:
        """Takes it away.

        Raises:
            Conflict: where it is another one by now.
            RunError: as of `get`.
        """
        same = kubernetes.V1Preconditions(uid=service.metadata["uid"])
        with self._asking("delete"):
            self._objects.delete_namespaced_custom_object(
                **self._kind,
                name=self.config.name,
                body=kubernetes.V1DeleteOptions(preconditions=same),
                _request_timeout=_SECONDS,
            )

    def deployments(self) -> list[kubernetes.V1Deployment]:
        """The deployments that KServe made for it in the mode raw.

        Raises:
            RunError: as of `get`.
        """
        with self._asking("list deployments of"):
            return self._deployments.list_namespaced_deployment(
                self.config.namespace,
                label_selector=f"{_GROUP}/inferenceservice={self.config.name}",
                _request_timeout=_SECONDS,
            ).items

    @contextmanager
    def _asking(self, verb: str) -> Iterator[None]:
        try:
            yield
        except ApiException as error:
            raise self._explained(verb, error) from error
        except HTTPError as error:
            raise Unreachable(f"{self.name}: Kubernetes does not answer: {error}") from error

    def _explained(self, verb: str, error: ApiException) -> RunError:
        status = _status(error)
        said = f"{self.name}: {{}}; Kubernetes says: {status.get('message') or error.reason}"
        kind = status.get("details", {}).get("kind")
        if error.status == 409:
            return Conflict(said.format("changed meanwhile"))
        if error.status == 429 or error.status >= 500:
            return Unreachable(said.format("Kubernetes is not able to answer"))
        if error.status == 401:
            return RunError(said.format("Kubernetes does not know who asks; renew the credentials, or the kubeconfig"))
        if error.status == 403:
            return RunError(
                said.format(
                    f"not allowed to {verb} it; docs/kserve.md has the Role that the step's service account needs"
                )
            )
        if error.status == 404 and kind == "namespaces":
            return RunError(said.format(f"there is no namespace {self.config.namespace}"))
        if error.status == 404 and not status:
            return RunError(said.format("this cluster knows no InferenceServices: KServe is not installed in it"))
        return RunError(said.format(f"cannot {verb} it"))


@contextmanager
def connect(config: Config) -> Iterator[InferenceServices]:
    """Speaks to the cluster that the step is in, or else to that of the kubeconfig.

    Raises:
        UserError: where there is neither.
    """
    settings = kubernetes.Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            kubernetes_config.load_incluster_config(client_configuration=settings)
        else:
            kubernetes_config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=settings)
    except kubernetes_config.ConfigException as error:
        raise UserError(
            f"serving.kserve: no cluster: {error}; outside of one, KUBECONFIG or ~/.kube/config says where it is"
        ) from error
    with kubernetes.ApiClient(settings) as api:
        yield InferenceServices(api, config)


def _status(error: ApiException) -> Json:
    """The Status that Kubernetes answers with; empty where the answer is none, as of a path that it doesn't know."""
    try:
        status = json.loads(error.body)
    except (TypeError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}


def _without_nulls(values: Mapping[str, Any]) -> Json:
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }
