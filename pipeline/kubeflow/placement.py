"""Types of the resources of a step's pod, and of where the pod runs."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from hubline.core.config_base import Section
from hubline.core.quantity import Quantity, amount

Key = Annotated[str, Field(min_length=1)]

Mount = Annotated[str, Field(pattern=r"^/[^:]*$", examples=["/mnt/data"])]
"""Absolute path in the container."""


def _not_ours(name: str) -> str:
    if name == "TF_CONFIG":
        raise ValueError("TF_CONFIG is set for each worker; set training.workers to the number of workers instead")
    return name


EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"), AfterValidator(_not_ours)]


class Toleration(Section):
    """A Kubernetes toleration: lets the step's pods run on nodes with a matching taint."""

    key: str | None = None
    """Key of the taint. With the operator Exists, leave this out to match all keys."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """`Equal` compares key and value; `Exists` ignores the value."""
    value: str | None = None
    """Value of the taint."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. Default: all effects match."""
    toleration_seconds: int | None = Field(default=None, ge=0)
    """With the effect NoExecute: seconds that a pod may stay on a tainted node."""

    @model_validator(mode="after")
    def _as_kubernetes_takes_it(self) -> "Toleration":
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("the operator Exists takes no value; leave it out")
        if self.operator == "Equal" and self.key is None:
            raise ValueError("the operator Equal needs a key, such as nvidia.com/gpu")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("toleration_seconds requires the effect NoExecute")
        return self


class Expression(Section):
    """A requirement on a node label."""

    key: Key
    """Name of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    """Comparison of the label with `values`."""
    values: tuple[str, ...] = ()
    """Values to compare with; none for Exists and DoesNotExist."""

    @model_validator(mode="after")
    def _values(self) -> "Expression":
        wanted = {"In": True, "NotIn": True, "Gt": True, "Lt": True}.get(self.operator, False)
        if wanted != bool(self.values):
            raise ValueError(f"the operator {self.operator} takes {'values' if wanted else 'no values'}")
        return self


class Affinity(Section):
    """Node affinity of the step's pods."""

    match: tuple[Expression, ...] = Field(min_length=1)
    """Requirements on node labels; a node must meet all of them."""
    weight: int | None = Field(default=None, ge=1, le=100)
    """Weight of the preference. Default: the affinity is required rather than preferred."""


class Volume(Section):
    """A persistent volume claim mounted in the step's container."""

    claim: Key
    """Name of the claim. It must exist in the namespace of the runs."""
    path: Mount
    """Mount path."""
    sub_path: str | None = None
    """Folder within the volume to mount. Default: the whole volume."""


class KeySource(Section):
    """A Secret or ConfigMap."""

    name: Key
    """Name of the Secret or ConfigMap."""
    env: dict[EnvName, Key] = Field(default={}, examples=[{"AWS_ACCESS_KEY_ID": "key"}])
    """Environment variables, each with the key that holds its value."""
    path: Mount | None = None
    """Mount path; each key becomes a file."""
    optional: bool = False
    """Whether the step may start if the Secret or ConfigMap does not exist."""

    @model_validator(mode="after")
    def _is_used(self) -> "KeySource":
        if not self.env and self.path is None:
            raise ValueError("set `env` (environment variables and their keys) or `path` (where it is mounted)")
        return self


class Retries(Section):
    """Retries of a failed step."""

    count: int = Field(ge=1, le=100)
    """Maximum number of retries."""
    backoff_seconds: int = Field(default=60, ge=0, le=86_400)
    """Seconds before the first retry."""
    backoff_factor: float = Field(default=2.0, ge=1.0, le=100.0)
    """Factor by which the wait grows with each retry."""
    max_seconds: int = Field(default=3600, ge=1, le=86_400)
    """Longest wait, in seconds."""


class Placement(Section):
    """Resources of a step's pod, and where the pod runs."""

    workers: int = Field(default=1, ge=1, le=1000)
    """Number of pods that share the step's shards, each with all of these settings; for steps that work shard by shard
    (docs/kubeflow.md). With 1, the step does the work in its own pod."""
    cpu: Quantity | None = Field(default=None, examples=["4", "500m"])
    """CPU limit."""
    memory: Quantity | None = Field(default=None, examples=["32Gi"])
    """Memory limit."""
    cpu_request: Quantity | None = None
    """CPU request: what a node must have free."""
    memory_request: Quantity | None = None
    """Memory request: what a node must have free."""
    ephemeral_storage: Quantity | None = Field(default=None, examples=["100Gi"])
    """Size of an ephemeral volume mounted at `/tmp` while the step runs."""
    gpus: int = Field(default=0, ge=0, le=64)
    """Number of GPUs; for steps that run a model."""
    gpu_type: Key = "nvidia.com/gpu"
    """Resource name of the GPUs in the cluster."""
    node_selector: dict[Key, str] = Field(default={}, examples=[{"cloud.google.com/gke-accelerator": "nvidia-l4"}])
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pod tolerates."""
    affinity: tuple[Affinity, ...] = ()
    """Nodes that the pod requires or prefers."""
    volumes: tuple[Volume, ...] = ()
    """Persistent volume claims to mount."""
    secrets: tuple[KeySource, ...] = ()
    """Secrets as environment variables or files."""
    config_maps: tuple[KeySource, ...] = ()
    """ConfigMaps as environment variables or files."""
    shared_memory: Quantity | None = Field(default=None, examples=["8Gi"])
    """Size of `/dev/shm`."""
    env: dict[EnvName, str] = Field(default={}, examples=[{"TF_GPU_ALLOCATOR": "cuda_malloc_async"}])
    """Environment variables."""
    retries: Retries | None = None
    """Retries after a failure. Default: none. A retried Trainer resumes from its last checkpoint."""
    timeout_seconds: int | None = Field(default=None, ge=1, le=31_536_000)
    """Seconds after which the step is stopped and counts as failed."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When Kubernetes pulls the image."""

    @model_validator(mode="after")
    def _possible(self) -> "Placement":
        for what in ("cpu", "memory"):
            limit, request = getattr(self, what), getattr(self, f"{what}_request")
            if limit and request and amount(request) > amount(limit):
                raise ValueError(f"{what}_request {request} exceeds the limit, {what}: {limit}")
        paths = [volume.path for volume in self.volumes]
        paths += [each.path for each in (*self.secrets, *self.config_maps) if each.path]
        paths += ["/dev/shm"] if self.shared_memory else []
        paths += ["/tmp"] if self.ephemeral_storage else []
        if twice := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"two volumes are mounted at {twice[0]}")
        return self
