"""A fake Kubernetes API server with KServe: it stores InferenceServices and reconciles them.

It follows KServe's sources (https://github.com/kserve/kserve/tree/master/pkg): revisions and traffic as in
reconcilers/knative/ksvc_reconciler.go, status as in v1beta1/inference_service_status.go. The controller takes one step
after each read of a service, so the first read after a change returns the old status.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

Json = dict[str, Any]

NAMESPACE = "models"
_SERVICES = f"/apis/serving.kserve.io/v1beta1/namespaces/{NAMESPACE}/inferenceservices"
_DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
_MODES = {"Serverless": "Knative", "RawDeployment": "Standard"}
_CONDITIONS = ("Ready", "PredictorReady", "IngressReady")


class Refusal(Exception):
    """An error response, as a Status."""

    def __init__(self, code: int, reason: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.code, self.status = code, {"kind": "Status", "reason": reason, "message": message, "details": details}


def responded(answer: Callable[[], Json]) -> Response:
    """The response of an API server: an answer, its refusal, or that there is no such path."""
    try:
        return Response(json.dumps(answer()), content_type="application/json")
    except Refusal as refusal:
        return Response(json.dumps(refusal.status), refusal.code, content_type="application/json")
    except LookupError:
        return Response("404 page not found\n", 404, content_type="text/plain")


@dataclass
class Controller:
    """KServe's state of one service."""

    templates: list[str] = field(default_factory=list)
    """The model of each revision, in order."""
    ready: int = -1
    """The newest revision that has become ready."""
    steps: int = 0
    """Controller steps since the newest revision was created."""
    rolled_out: int = -1
    """The newest revision that has received all requests."""
    rolled_out_before: int = -1

    @staticmethod
    def revision(number: int) -> str:
        return f"taxi-predictor-{number + 1:05}" if number >= 0 else ""


@dataclass
class KubernetesApi:
    """The cluster. Models are identified by parts of their URIs."""

    steps: int = 2
    """Controller steps until a model is ready."""
    broken: str | None = None
    """Models that never become ready."""
    message: str = "Container failed: no versions of servable found"
    refuses: Refusal | None = None
    """Response to every call."""
    installed: bool = True
    is_0_16: bool = False
    """Whether to keep the old name of a mode in the annotation, and then reject changes because of it, as KServe 0.16
    does."""
    namespace: str = NAMESPACE
    conflicts: int = 0
    """Number of further changes that conflict with another client, which labels the service."""
    failures: int = 0
    """Number of further calls that fail with 503."""
    lost: int = 0
    """Number of further changes that are carried out and answered with 503."""
    services: dict[str, Json] = field(default_factory=dict)
    controllers: dict[str, Controller] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    shares: list[dict[str, int]] = field(default_factory=list)
    """After each controller step, the percentage of requests per model, if any is ready."""
    versions: int = 0

    @property
    def changes(self) -> list[str]:
        return [call for call in self.calls if call != "GET"]

    def add(self, name: str, spec: Json, annotations: Json | None = None, **metadata: Any) -> Json:
        """Adds an existing, ready service."""
        self._store({"metadata": {"name": name, "annotations": annotations or {}, **metadata}, "spec": spec})
        self.act(name, self.steps + 1)
        return self.services[name]

    def set(self, name: str, **predictor: Any) -> None:
        """Changes a service, as a user with kubectl does."""
        changed = _merged(self.services[name], {"spec": {"predictor": predictor}})
        self._store(changed)
        self.act(name, self.steps + 1)

    def act(self, name: str, steps: int = 1) -> None:
        for _ in range(steps):
            self._act(name)

    def application(self, request: Request) -> Response:
        """Handles one request."""
        return responded(lambda: self._answer(request))

    def _answer(self, request: Request) -> Json:
        self.calls.append(request.method)
        if self.refuses:
            raise self.refuses
        if self.failures:
            self.failures -= 1
            raise Refusal(503, "ServiceUnavailable", "etcd has no leader")
        if request.path == _DEPLOYMENTS:
            assert request.args["labelSelector"].startswith("serving.kserve.io/inferenceservice=")
            return {"items": self._deployments(request.args["labelSelector"].partition("=")[2])}
        path, _, name = request.path.partition("/inferenceservices")
        if not self.installed or f"{path}/inferenceservices" != _SERVICES:
            raise LookupError(request.path)
        name = name.lstrip("/")
        if request.method == "POST":
            return self._create(request.get_json())
        if name not in self.services:
            raise Refusal(404, "NotFound", f'inferenceservices "{name}" not found', name=name, kind="inferenceservices")
        if request.method == "PATCH":
            assert request.content_type == "application/merge-patch+json"
            return self._patch(name, request.get_json())
        if request.method == "DELETE":
            return self._delete(name, request.get_json())
        seen = deepcopy(self.services[name])
        self.act(name)
        return seen

    def _create(self, body: Json) -> Json:
        if self.namespace != NAMESPACE:
            raise Refusal(404, "NotFound", f'namespaces "{NAMESPACE}" not found', name=NAMESPACE, kind="namespaces")
        name = body["metadata"]["name"]
        if self.conflicts:
            self.conflicts -= 1
            self._store(body)
        if name in self.services:
            raise Refusal(409, "AlreadyExists", f'inferenceservices "{name}" already exists', name=name)
        self._store(body)
        return self._told(name)

    def _patch(self, name: str, body: Json) -> Json:
        if self.conflicts:
            self.conflicts -= 1
            self._store(_merged(self.services[name], {"metadata": {"labels": {f"by-{self.versions}": "others"}}}))
        given, is_now = body["metadata"].get("resourceVersion"), self.services[name]["metadata"]["resourceVersion"]
        if given not in (None, is_now):
            raise Refusal(
                409, "Conflict", "the object has been modified; please apply your changes to the latest version"
            )
        changed = _merged(self.services[name], body)
        told = self.services[name].get("status", {}).get("deploymentMode")
        has = changed["metadata"]["annotations"].get("serving.kserve.io/deploymentMode")
        if self.is_0_16 and told and has and has != told:
            raise Refusal(400, "BadRequest", f"update rejected: deploymentMode cannot be changed from {told} to {has}")
        self._store(changed)
        return self._told(name)

    def _delete(self, name: str, body: Json) -> Json:
        if body["preconditions"]["uid"] != self.services[name]["metadata"]["uid"]:
            raise Refusal(409, "Conflict", "Precondition failed: UID in precondition")
        del self.services[name], self.controllers[name]
        return {"kind": "Status", "status": "Success"}

    def _told(self, name: str) -> Json:
        if self.lost:
            self.lost -= 1
            raise Refusal(503, "ServiceUnavailable", "the connection broke")
        return self.services[name]

    def _store(self, service: Json) -> None:
        self.versions += 1
        name, metadata = service["metadata"]["name"], service["metadata"]
        annotations = metadata.setdefault("annotations", {})
        mode = annotations.get("serving.kserve.io/deploymentMode", "Knative")
        annotations["serving.kserve.io/deploymentMode"] = mode if self.is_0_16 else _MODES.get(mode, mode)
        metadata.setdefault("uid", f"uid-{self.versions}")
        before = self.services.get(name)
        if before is None or before["spec"] != service["spec"]:
            metadata["generation"] = metadata.get("generation", 0) + 1
        metadata["resourceVersion"] = str(self.versions)
        self.services[name] = service
        self.controllers.setdefault(name, Controller())

    def _act(self, name: str) -> None:
        """One step of KServe's controller, and of the Knative service or deployment behind it."""
        service, state = self.services[name], self.controllers[name]
        predictor = service["spec"]["predictor"]
        template = predictor["model"]["storageUri"]
        state.steps += 1
        if not state.templates or state.templates[-1] != template:
            state.templates.append(template)
            state.steps = 0
        newest = len(state.templates) - 1
        is_broken = self.broken is not None and self.broken in template
        if state.steps >= self.steps and not is_broken:
            state.ready = newest
        mode = service["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
        is_serverless = _MODES.get(mode, mode) == "Knative"
        # A deployment's old pods make the service ready, too.
        ready = state.ready == newest if is_serverless else state.ready >= 0
        word = "True" if ready else "False" if is_broken and state.steps >= self.steps else "Unknown"
        told = (
            {} if ready else {"reason": "RevisionFailed" if word == "False" else "Deploying", "message": self.message}
        )
        status = {
            "deploymentMode": "Knative" if is_serverless else "Standard",
            "url": f"http://{name}.{NAMESPACE}.example",
            "observedGeneration": 100 + newest,  # of the underlying resource, not of the service
            "conditions": [{"type": kind, "status": word, **told} for kind in _CONDITIONS]
            + [{"type": "Stopped", "status": "False"}],
            "components": {"predictor": {}},
        }
        if is_serverless:
            status["components"]["predictor"] = self._knative(state, predictor.get("canaryTrafficPercent"))
        elif state.ready >= 0:
            self.shares.append({state.templates[state.ready]: 100})
        if status != service.get("status"):  # a status change counts as a change of the service
            self.versions += 1
            service["metadata"]["resourceVersion"] = str(self.versions)
            service["status"] = status

    def _knative(self, state: Controller, percent: int | None) -> Json:
        """`createKnativeService` and `PropagateStatus`."""
        newest = len(state.templates) - 1
        routes: list[tuple[int, int, bool]] = [(state.ready, 100, True)]
        if percent is not None and state.rolled_out >= 0:
            routes = [(state.ready, percent, True)]
            routes += [(state.rolled_out, 100 - percent, False)] if percent < 100 else []
        if state.ready >= 0:
            if state.rolled_out != state.ready:
                if routes[0][1] == 100:
                    state.rolled_out_before, state.rolled_out = state.rolled_out, state.ready
            elif state.ready == newest and routes[0][1] < 100 and state.rolled_out_before >= 0:
                state.rolled_out = state.rolled_out_before
            shares: dict[str, int] = {}
            for number, share, _ in routes:
                shares[state.templates[number]] = shares.get(state.templates[number], 0) + share
            self.shares.append(shares)
        return {
            "latestCreatedRevision": state.revision(newest),
            "latestReadyRevision": state.revision(state.ready),
            "latestRolledoutRevision": state.revision(state.rolled_out),
            "traffic": [
                {"revisionName": state.revision(number), "percent": share, "latestRevision": latest}
                for number, share, latest in routes
                if state.ready >= 0
            ],
        }

    def _deployments(self, name: str) -> list[Json]:
        state = self.controllers[name]
        if not state.templates:
            return []
        done = state.ready == len(state.templates) - 1
        uri = {"internal.serving.kserve.io/storage-initializer-sourceuri": state.templates[-1]}
        spec = {
            "replicas": 2,
            "selector": {},
            "template": {"metadata": {"annotations": uri}, "spec": {"containers": []}},
        }
        pods = {"replicas": 2, "updatedReplicas": 2} if done else {"replicas": 3, "updatedReplicas": 1}
        status = {"observedGeneration": len(state.templates), "availableReplicas": 2, **pods}
        return [{"metadata": {"name": name, "generation": len(state.templates)}, "spec": spec, "status": status}]

    @contextmanager
    def serving(self, folder: Path) -> Iterator[Path]:
        """Kubeconfig of the cluster while it serves."""
        server = make_server("127.0.0.1", 0, Request.application(self.application), threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield kubeconfig(folder, f"http://127.0.0.1:{server.port}")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def kubeconfig(folder: Path, server: str, namespace: str = "default") -> Path:
    """A kubeconfig for a cluster, and a namespace in it."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": namespace}}],
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
    }
    path.write_text(json.dumps(config))
    return path


def _merged(value: Json, patch: Json) -> Json:
    """A JSON merge patch (RFC 7396)."""
    merged = deepcopy(value)
    for key, each in patch.items():
        if each is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key, {}), each) if isinstance(each, dict) else each
    return merged
