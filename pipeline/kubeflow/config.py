"""The type of the `kubeflow` section."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from hubline.components.steps import NAMES, ON_GPU
from hubline.core.config_base import Section, is_remote, normalized
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.kubeflow.api_config import AnySchedule, Api

STEPS = ("Pin", *NAMES, "Alert")
"""Steps that can be configured. `HubModule` and `Backbone` stand for the steps of all modules and backbones."""

JOINABLE = tuple(name for name in NAMES if name not in ON_GPU)
"""Steps that can share a pod: those that don't benefit from a GPU."""


def _known_step(name: str) -> str:
    if name not in STEPS:
        raise ValueError(f"unknown step '{name}'; {nearest(name, STEPS)}")
    return name


def _joinable(name: str) -> str:
    if name in STEPS and name not in JOINABLE:
        raise ValueError(f"{name} needs its own pod; steps that can share a pod: {', '.join(JOINABLE)}")
    return _known_step(name)


PodName = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=40)]
"""Name of a pod that several steps share."""


def _without_extra_slashes(path: str) -> str:
    return normalized(path) if is_remote(path) else path


def _root(url: str) -> str:
    if not url.startswith(("gs://", "s3://", "minio://")):
        raise ValueError(
            f"'{url}' must be on gs://, s3:// or minio://, because Kubeflow Pipelines supports no other artifact "
            "stores; only `state` may be on a volume"
        )
    return url


def _quantity(value: str) -> str:
    # https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m|[kMGTPE]|[KMGTPE]i)?", value)
    if not match or float(match[1]) == 0:
        raise ValueError(f"'{value}' is not a positive Kubernetes quantity, such as 500m, 2, 512Mi or 32Gi")
    return value


Quantity = Annotated[str, AfterValidator(_quantity)]
"""A Kubernetes quantity."""

Key = Annotated[str, Field(min_length=1)]

Mount = Annotated[str, Field(pattern=r"^/[^:]*$", examples=["/mnt/data"])]
"""Absolute path in the container."""

EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


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


class SecretKey(Section):
    """A key of a Secret."""

    secret: Key
    """Name of the Secret. It must exist in the namespace of the runs."""
    key: Key
    """Key within the Secret."""


class Alert(Section):
    """A webhook that is called when a run ends."""

    webhook: str | SecretKey = Field(
        examples=["https://alerts.example/hubline", {"secret": "alerts", "key": "url"}], union_mode="left_to_right"
    )
    """URL of the webhook, or the key of a Secret that contains the URL."""
    on: Literal["failure", "always"] = "failure"
    """Which runs to report: those that fail, or all."""

    @field_validator("webhook")
    @classmethod
    def _is_a_url(cls, webhook: str | SecretKey) -> str | SecretKey:
        if isinstance(webhook, str) and not webhook.startswith(("http://", "https://")):
            raise ValueError(f"'{webhook}' is not a URL that starts with http:// or https://")
        return webhook

    @property
    def warning(self) -> str | None:
        """A warning about the webhook, if any."""
        if isinstance(self.webhook, SecretKey):
            return None
        return (
            "kubeflow.alert.webhook: the URL stands in the package, where all who see the pipeline read it, and "
            "whoever has it can post to it; keep it in a secret (kubectl create secret generic alerts "
            "--from-literal=url=…) and write webhook: {secret: alerts, key: url}"
        )


_FACTORS = {"m": 1e-3} | {
    f"{unit}{suffix}": base**power
    for power, unit in enumerate("KMGTPE", 1)
    for suffix, base in (("i", 1024), ("", 1000))
}


def amount(quantity: str) -> float:
    """Converts a Kubernetes quantity to a number of processors or bytes."""
    number = quantity.rstrip("mkKMGTPEi")
    unit = quantity[len(number) :]
    return float(number) * (_FACTORS[unit.replace("k", "K")] if unit else 1.0)


class Kubeflow(Section):
    """Deployment of the pipeline on Kubeflow Pipelines."""

    image: str | None = Field(default=None, min_length=1, examples=["registry.example/hubline@sha256:…"])
    """Container image of every step, as built by `make image`, with its digest. `hubline compile --image` overrides
    it."""
    pipeline_root: Annotated[str, AfterValidator(_root)] | None = Field(default=None, examples=["gs://bucket/runs"])
    """Where artifacts are stored. Default: the pipeline root of the installation."""
    state: Annotated[str, AfterValidator(_without_extra_slashes)] | None = Field(
        default=None,
        pattern=r"^((gs|s3|minio|az|abfs)://|/)",
        examples=["gs://bucket/state/taxi-tips", "s3://bucket/state/taxi-tips", "/mnt/state"],
    )
    """Storage that persists between runs: checkpoints of interrupted runs, ingested shards and cached embeddings. A
    folder in a bucket or in a volume that every step mounts."""
    join: dict[PodName, tuple[Annotated[str, AfterValidator(_joinable)], ...]] | None = Field(
        default=None, examples=[{"CheckData": ["StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate"]}]
    )
    """Groups of steps that share a pod, by pod name. Steps that use a GPU cannot share one. Default: steps that are
    cached together share a pod. With {}, no steps do."""
    steps: dict[str, Placement] = Field(default={}, examples=[{"Trainer": {"gpus": 1, "memory": "32Gi"}}])
    """Resources and placement by step, or by pod name for steps that share a pod."""
    every_step: Placement = Placement()
    """Defaults for every step. A step's own settings override them key by key."""
    image_pull_secrets: tuple[Key, ...] = ()
    """Secrets for pulling the image."""
    api: Api = Api()
    """Connection to Kubeflow Pipelines for `hubline submit` and `hubline schedule`."""
    service_account: Key | None = Field(default=None, examples=["pipeline-runner"])
    """Kubernetes service account of the pods. Default: that of the installation."""
    experiment: str | None = Field(default=None, min_length=1)
    """Experiment that the runs belong to. Default: the pipeline's name."""
    schedule: AnySchedule | None = Field(
        default=None, examples=["0 3 * * *", {"cron": "0 3 * * *", "time_zone": "Europe/Berlin"}]
    )
    """Schedule of recurring runs, created by `hubline schedule apply`: a cron expression in UTC, or a mapping."""
    alert: Alert | None = None
    """Where to report the end of runs."""

    @field_validator("join")
    @classmethod
    def _each_once(cls, join: dict[str, tuple[str, ...]] | None) -> dict[str, tuple[str, ...]] | None:
        if join is None:
            return None
        members = [step for steps in join.values() for step in steps]
        if twice := sorted({step for step in members if members.count(step) > 1}):
            raise ValueError(f"{twice[0]} is in two pods")
        steps = {step.lower(): step for step in (*STEPS, "Steps", "Done")}
        if clash := sorted(name for name in join if name.lower() in steps):
            raise ValueError(f"{steps[clash[0].lower()]} is the name of a step; rename the pod")
        return join

    @field_validator("steps")
    @classmethod
    def _are_there(cls, steps: dict[str, Placement], info: ValidationInfo) -> dict[str, Placement]:
        join: dict[str, tuple[str, ...]] = info.data.get("join") or {}
        in_pods = {step: pod for pod, members in join.items() for step in members}
        for name in steps:
            if name in in_pods:
                raise ValueError(f"{name} shares the pod {in_pods[name]}; configure that pod instead")
            if name not in join:
                _known_step(name)
        return steps

    @model_validator(mode="after")
    def _gpus_are_used(self) -> "Kubeflow":
        idle = [name for name, step in self.steps.items() if step.gpus and name not in ON_GPU]
        if idle or self.every_step.gpus:
            where = f"steps.{idle[0]}" if idle else "every_step"
            raise ValueError(
                f"{where}: only steps that run a model can use gpus: {', '.join(ON_GPU)}; remove them, because an idle "
                "GPU is not available to other runs"
            )
        return self

    def placement(self, step: str) -> Placement:
        """Placement of a step. `step` is its name without the part after the dot."""
        own = self.steps.get(step)
        said = {key: getattr(own, key) for key in own.model_fields_set} if own else {}
        return self.every_step.model_copy(update=said)
