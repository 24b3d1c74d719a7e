"""Connection to Kubernetes, and the meaning of its errors."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes import client as kubernetes
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from hubline.core.errors import RunError, UserError

REQUEST_SECONDS = 30
"""Timeout of a request."""


class Conflict(RunError):
    """Someone else changed the object first; the change must be reconsidered."""


class Unreachable(RunError):
    """The cluster does not answer at the moment."""


@dataclass(frozen=True)
class Subject:
    """An object or a kind of object, as error messages describe it."""

    name: str
    namespace: str
    role: str
    """Page of the docs with the Role that a service account needs."""
    not_installed: str
    """What to say if the cluster does not know objects of this kind."""

    @contextmanager
    def asking(self, verb: str) -> Iterator[None]:
        """Translates the errors of a request.

        Args:
            verb: What the request does, such as `create`.

        Raises:
            Conflict: if the object has changed, or exists already.
            Unreachable: if the cluster does not answer.
            RunError: if the cluster refuses.
        """
        try:
            yield
        except ApiException as error:
            raise self._explained(verb, error) from error
        except HTTPError as error:
            raise Unreachable(f"{self.name}: Kubernetes doesn't answer: {error}") from error

    def _explained(self, verb: str, error: ApiException) -> RunError:
        told = status(error)
        said = f"{self.name}: {{}}; Kubernetes says: {told.get('message') or error.reason}"
        if error.status == 409:
            return Conflict(said.format("changed meanwhile"))
        if error.status == 429 or error.status >= 500:
            return Unreachable(said.format("Kubernetes is not able to answer"))
        if error.status == 401:
            return RunError(said.format("Kubernetes does not know who asks; renew the credentials, or the kubeconfig"))
        if error.status == 403:
            return RunError(
                said.format(f"not allowed to {verb} it; {self.role} has the Role that the step's service account needs")
            )
        if error.status == 404 and told.get("details", {}).get("kind") == "namespaces":
            return RunError(said.format(f"there is no namespace {self.namespace}"))
        if error.status == 404 and not told:
            return RunError(said.format(self.not_installed))
        return RunError(said.format(f"cannot {verb} it"))


@contextmanager
def connect(key: str) -> Iterator[kubernetes.ApiClient]:
    """Connects to the cluster that the process runs in, otherwise to that of the kubeconfig.

    Args:
        key: Key of the pipeline file that needs the cluster, for error messages.

    Raises:
        UserError: if there is neither.
    """
    settings = kubernetes.Configuration()
    try:
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            kubernetes_config.load_incluster_config(client_configuration=settings)
        else:
            kubernetes_config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=settings)
    except kubernetes_config.ConfigException as error:
        raise UserError(f"{key}: no cluster: {error}; outside a cluster, set KUBECONFIG or ~/.kube/config") from error
    with kubernetes.ApiClient(settings) as api:
        yield api


def status(error: ApiException) -> dict[str, Any]:
    """The Status in Kubernetes' response; empty if the response is none, as for an unknown path."""
    try:
        said = json.loads(error.body)
    except (TypeError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
