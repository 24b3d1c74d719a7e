"""The pod of a worker: a placement of the pipeline file as Kubernetes writes it."""

from collections.abc import Iterable, Sequence
from typing import Any

from hubline.pipeline.kubeflow.placement import Affinity, KeySource, Placement, Toleration
from hubline.pipeline.kubeflow.workers.settings import WorkerPods
from hubline.pipeline.kubeflow.workers_config import SHARDS

Json = dict[str, Any]

CONTAINER = "tensorflow"
"""Training Operator sets TF_CONFIG in the container of this name."""
PORT, PORT_NAME = 2222, "tfjob-port"
_NO_PROXY = {"sidecar.istio.io/inject": "false"}
"""Istio's proxy breaks TensorFlow's connections, and keeps running when a worker ends."""


def template(
    pods: WorkerPods, command: Sequence[str], scratch: Iterable[str], own: Json, labels: dict[str, str]
) -> Json:
    """PodTemplateSpec of a worker.

    Args:
        pods: Settings.
        command: Python module to run, and its arguments.
        scratch: Folders of the artifacts, where every pod gets an empty volume.
        own: The step's own pod, for its service account and security settings.
        labels: Labels of the pod.
    """
    placement, spec = pods.placement, own["spec"]
    volumes, mounts = _volumes(placement, scratch)
    main = next((each for each in spec["containers"] if each["name"] == "main"), spec["containers"][0])
    container: Json = {
        "name": CONTAINER,
        "image": pods.image,
        "command": ["python", "-m", command[0]],
        "args": list(command[1:]),
        "ports": [] if pods.kind == SHARDS else [{"name": PORT_NAME, "containerPort": PORT}],
        "env": _env(placement),
        "resources": _resources(placement),
        "volumeMounts": mounts,
        "imagePullPolicy": placement.image_pull_policy,
        "securityContext": main.get("securityContext"),
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    pod: Json = {
        "serviceAccountName": spec.get("serviceAccountName"),
        "securityContext": spec.get("securityContext"),
        "imagePullSecrets": [{"name": name} for name in pods.image_pull_secrets],
        "nodeSelector": dict(placement.node_selector),
        "tolerations": [_toleration(each) for each in placement.tolerations],
        "affinity": _affinity(placement.affinity),
        "containers": [_said(container)],
        "volumes": volumes,
    }
    return {"metadata": {"labels": labels | _NO_PROXY, "annotations": dict(_NO_PROXY)}, "spec": _said(pod)}


def _said(values: Json) -> Json:
    return {key: value for key, value in values.items() if value}


def _resources(placement: Placement) -> Json:
    limits = {"cpu": placement.cpu, "memory": placement.memory}
    limits |= {placement.gpu_type: str(placement.gpus)} if placement.gpus else {}
    requests = {"cpu": placement.cpu_request, "memory": placement.memory_request}
    return _said({"limits": _said(limits), "requests": _said(requests)})


def _env(placement: Placement) -> list[Json]:
    keys = [
        {"name": name, "valueFrom": {kind: {"name": each.name, "key": key} | _optional(each)}}
        for kind, found in (("secretKeyRef", placement.secrets), ("configMapKeyRef", placement.config_maps))
        for each in found
        for name, key in each.env.items()
    ]
    return [{"name": name, "value": value} for name, value in placement.env.items()] + keys


def _optional(source: KeySource) -> Json:
    return {"optional": True} if source.optional else {}


def _volumes(placement: Placement, scratch: Iterable[str]) -> tuple[list[Json], list[Json]]:
    """The volumes of a pod, and their mounts."""
    found: list[tuple[str, str | None, Json]] = [
        (each.path, each.sub_path, {"persistentVolumeClaim": {"claimName": each.claim}}) for each in placement.volumes
    ]
    found += [
        (each.path, None, {"secret": {"secretName": each.name} | _optional(each)})
        for each in placement.secrets
        if each.path
    ]
    found += [
        (each.path, None, {"configMap": {"name": each.name} | _optional(each)})
        for each in placement.config_maps
        if each.path
    ]
    if placement.shared_memory:
        found.append(("/dev/shm", None, {"emptyDir": {"medium": "Memory", "sizeLimit": placement.shared_memory}}))
    if placement.ephemeral_storage:
        claim = {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": placement.ephemeral_storage}},
        }
        found.append(("/tmp", None, {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}))
    found += [(path, None, {"emptyDir": {}}) for path in scratch]
    named = [(f"volume-{number}", *each) for number, each in enumerate(found)]
    volumes = [{"name": name} | source for name, _, _, source in named]
    mounts = [
        {"name": name, "mountPath": path} | ({"subPath": sub_path} if sub_path else {})
        for name, path, sub_path, _ in named
    ]
    return volumes, mounts


def _toleration(each: Toleration) -> Json:
    fields = {"key": each.key, "value": each.value, "effect": each.effect, "tolerationSeconds": each.toleration_seconds}
    return {"operator": each.operator} | {key: value for key, value in fields.items() if value is not None}


def _affinity(terms: Sequence[Affinity]) -> Json:
    """Node affinity; of several required terms, a node must meet one, as with Kubeflow Pipelines."""
    expressions = [
        {
            "matchExpressions": [
                {"key": one.key, "operator": one.operator} | ({"values": list(one.values)} if one.values else {})
                for one in term.match
            ]
        }
        for term in terms
    ]
    pairs = list(zip(terms, expressions, strict=True))
    required = [each for term, each in pairs if term.weight is None]
    preferred = [{"weight": term.weight, "preference": each} for term, each in pairs if term.weight is not None]
    found = _said(
        {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": required} if required else None,
            "preferredDuringSchedulingIgnoredDuringExecution": preferred,
        }
    )
    return {"nodeAffinity": found} if found else {}
