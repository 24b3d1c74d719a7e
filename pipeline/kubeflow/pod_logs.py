"""Finds the pod in which a step ran on Kubeflow Pipelines, and the relevant lines at the end of its log."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import kfp_server_api
import urllib3

from hubline.pipeline.kubeflow.api import Client

Nodes = Mapping[str, Mapping[str, Any]]
"""Nodes of an Argo workflow, by ID."""

_LINES = 20
_PREFIX = 242
"""Maximum length of a pod's name before its hash."""

_NOT_OURS = re.compile(
    r"""(?x)
    [IWEF]\d{4}\ [\d:.]+\ +\d+\ \w+\.go:\d+\]                  # the launcher
    | [IW]\d{4}\ [\d:.]+\ +\d+\ [\w.]+\.(cc|h):\d+\]           # absl
    | .* Unable\ to\ register\ cu\w+\ factory                    # CUDA
    | WARNING:\ All\ log\ messages\ before\ absl
    | \d{4}-\d\d-\d\d\ \d\d:\d\d:\d\d\.\d+:\ [IW]\               # TensorFlow
    | To\ enable\ the\ following\ instructions:
    | (WARNING|INFO):(tensorflow|absl|apache_beam|root):
    | time="?\d{4}-\d\d-\d\dT .* level=(info|debug|INFO|DEBUG)   # Argo
    | \S+\.py:\d+:\ \w*Warning:
    | \s+warnings\.warn\(
    """
)
"""Lines of the launcher and of libraries that don't explain a failure."""


def workflow_nodes(client: Client, run_id: str) -> Nodes:
    """Nodes of a run's workflow, which only the API's v1beta1 returns; empty if it doesn't."""
    text = _text(client, "/apis/v1beta1/runs/{run_id}", path_params={"run_id": run_id})
    try:
        manifest = json.loads(json.loads(text or "{}")["pipeline_runtime"]["workflow_manifest"])
        return manifest["status"]["nodes"] or {}
    except (ValueError, KeyError, TypeError):
        return {}


def last_lines(client: Client, run_id: str, task: Any, nodes: Nodes) -> tuple[str, ...]:
    """End of a step's log, from whichever place the version and installation keep it in.

    Args:
        client: The API.
        run_id: ID of the run.
        task: The step's task, as returned by the API.
        nodes: Nodes of the run's workflow.
    """
    for pod in dict.fromkeys((*pods_of(task.display_name, nodes), *_pods_by_guess(task))):
        for ask in (_from_dashboard, _from_api):
            if log := ask(client, run_id, pod):
                return own_lines(log)
    return ()


def own_lines(log: str) -> tuple[str, ...]:
    """The last lines of a log, without those of the launcher and libraries unless there are no others."""
    lines = log.rstrip().splitlines()
    return tuple(([line for line in lines if not _NOT_OURS.match(line)] or lines)[-_LINES:])


def pods_of(task: str, nodes: Nodes) -> list[str]:
    """Pods of a task: failed ones first, then the latest.

    A task's node is an Argo template, as are its descendants, each nested in a retry node if the cluster retries by
    default. Their names all start with the task's, as in `digits-x.root.pin(0).executor(0)`.
    """
    found = []
    for node in nodes.values():
        if node.get("displayName") != task:
            continue
        below = re.compile(re.escape(node["name"]) + r"($|[.(])")
        found += [each for each in nodes.values() if each.get("type") == "Pod" and below.match(each["name"])]
    found.sort(key=lambda pod: (pod.get("phase") in ("Failed", "Error"), pod.get("startedAt") or ""), reverse=True)
    return [pod_name(pod) for pod in found]


def pod_name(node: Mapping[str, Any]) -> str:
    """Name of a node's pod: `GeneratePodName` in Argo's workflow/util/pod_name.go since 3.4.

    A node's ID is WORKFLOW-HASH; the pod's name ends in the same hash.
    """
    workflow, _, number = node["id"].rpartition("-")
    template = node.get("templateName") or node.get("templateRef", {}).get("template")
    if not template:
        return node["id"]
    return f"{f'{workflow}-{template}'[:_PREFIX]}-{number}"


def _pods_by_guess(task: Any) -> Iterator[str]:
    """Possible pod names of a task, for versions before 2.17, whose API lists pods with tasks.

    It returns names of Argo nodes. Since Argo 3.4, a pod's name contains its template's name.
    """
    nodes: Sequence[str | None] = [task.pod_name, *(child.pod_name for child in task.child_tasks or [])]
    for node in filter(None, nodes):
        workflow, _, number = node.rpartition("-")
        yield node
        for template in ("system-container-impl", "retry-system-container-impl"):
            yield f"{workflow}-{template}-{number}"


def _from_api(client: Client, run_id: str, pod: str) -> str | None:
    path = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"  # same path in all versions
    return _text(client, path, path_params={"run_id": run_id, "node_id": pod})


def _from_dashboard(client: Client, run_id: str, pod: str) -> str | None:
    query = {"podname": pod, "runid": run_id} | ({"podnamespace": client.namespace} if client.namespace else {})
    host = (client.address.ui_host or client.address.host).rstrip("/")
    return _text(client, "/k8s/pod/logs", query_params=query, _host=host)


def _text(client: Client, path: str, **given: Any) -> str | None:
    try:
        text = client.call("GET", path, None, **given).data.decode(errors="replace")
    except (kfp_server_api.ApiException, urllib3.exceptions.HTTPError):
        return None
    # The API server sends status 200 before it looks for the log, and any error in the body.
    return None if text.startswith('{"error_message"') else text
