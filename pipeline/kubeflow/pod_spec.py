"""Converts placements to KFP's container spec and to kfp-kubernetes' configuration."""

from collections.abc import Sequence
from typing import Any

from hubline.core.quantity import amount
from hubline.pipeline.kubeflow.placement import Affinity, KeySource, Placement, Toleration

Json = dict[str, Any]

_GB = 1e9


def container(placement: Placement) -> Json:
    """Resources and environment variables of a PipelineContainerSpec.

    Backends since 2.4 read strings, older ones numbers (memory in GB, 10^9 bytes); both are included.
    """
    spec: Json = {}
    if resources := _resources(placement):
        spec["resources"] = resources
    if placement.env:
        spec["env"] = [{"name": name, "value": value} for name, value in placement.env.items()]
    return spec


def _resources(placement: Placement) -> Json:
    resources: Json = {}
    for name, quantity, unit in (
        ("CpuLimit", placement.cpu, 1.0),
        ("MemoryLimit", placement.memory, _GB),
        ("CpuRequest", placement.cpu_request, 1.0),
        ("MemoryRequest", placement.memory_request, _GB),
    ):
        if quantity:
            resources[f"resource{name}"] = quantity
            resources[name[0].lower() + name[1:]] = amount(quantity) / unit
    if placement.gpus:
        resources["accelerator"] = {
            "type": placement.gpu_type,
            "count": str(placement.gpus),  # int64 is a string in JSON
            "resourceType": placement.gpu_type,
            "resourceCount": str(placement.gpus),
        }
    return resources


def retry_policy(placement: Placement) -> Json:
    """Retry settings of a PipelineTaskSpec."""
    retries = placement.retries
    if retries is None:
        return {}
    return {
        "retryPolicy": {
            "maxRetryCount": retries.count,
            "backoffDuration": f"{retries.backoff_seconds}s",
            "backoffFactor": retries.backoff_factor,
            "backoffMaxDuration": f"{retries.max_seconds}s",
        }
    }


def on_kubernetes(placement: Placement, image_pull_secrets: Sequence[str]) -> Json:
    """KubernetesExecutorConfig. Names occur in two forms, for backends since 2.5 and for older ones."""
    spec: Json = {}
    if placement.volumes:
        spec["pvcMount"] = [
            {"constant": volume.claim, "mountPath": volume.path, **_named("pvc", volume.claim)}
            | ({"subPath": volume.sub_path} if volume.sub_path else {})
            for volume in placement.volumes
        ]
    spec |= _from_keys("secret", placement.secrets) | _from_keys("configMap", placement.config_maps)
    if placement.node_selector:
        spec["nodeSelector"] = {"labels": dict(placement.node_selector)}
    if placement.tolerations:
        spec["tolerations"] = [_toleration(each) for each in placement.tolerations]
    if placement.affinity:
        spec["nodeAffinity"] = [_affinity(each) for each in placement.affinity]
    if placement.shared_memory:
        spec["emptyDirMounts"] = [
            {"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": placement.shared_memory}
        ]
    if placement.ephemeral_storage:
        spec["genericEphemeralVolume"] = [
            {
                "volumeName": "scratch",
                "mountPath": "/tmp",
                "accessModes": ["ReadWriteOnce"],
                "size": placement.ephemeral_storage,
                "defaultStorageClass": True,
            }
        ]
    if placement.timeout_seconds:
        spec["activeDeadlineSeconds"] = str(placement.timeout_seconds)
    if placement.image_pull_policy:
        spec["imagePullPolicy"] = placement.image_pull_policy
    if image_pull_secrets:
        spec["imagePullSecret"] = [{"secretName": name, **_named("secret", name)} for name in image_pull_secrets]
    return spec


def _named(what: str, name: str) -> Json:
    return {f"{what}NameParameter": {"runtimeValue": {"constant": name}}}


def _from_keys(kind: str, found: Sequence[KeySource]) -> Json:
    """Secrets or ConfigMaps as environment variables and volumes."""
    as_env = [
        {
            f"{kind}Name": each.name,
            **_named(kind, each.name),
            "keyToEnv": [{f"{kind}Key": name, "envVar": variable} for variable, name in each.env.items()],
            "optional": each.optional,
        }
        for each in found
        if each.env
    ]
    as_volume = [
        {f"{kind}Name": each.name, **_named(kind, each.name), "mountPath": each.path, "optional": each.optional}
        for each in found
        if each.path
    ]
    return ({f"{kind}AsEnv": as_env} if as_env else {}) | ({f"{kind}AsVolume": as_volume} if as_volume else {})


def _toleration(each: Toleration) -> Json:
    spec: Json = {"operator": each.operator}
    spec |= {key: value for key in ("key", "value", "effect") if (value := getattr(each, key)) is not None}
    return spec | ({} if each.toleration_seconds is None else {"tolerationSeconds": str(each.toleration_seconds)})


def _affinity(each: Affinity) -> Json:
    expressions = [
        {"key": one.key, "operator": one.operator} | ({"values": list(one.values)} if one.values else {})
        for one in each.match
    ]
    return {"matchExpressions": expressions} | ({} if each.weight is None else {"weight": each.weight})
