"""The type of `kubeflow` in the pipeline file."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from hubline.core.config_base import Section
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.kubeflow.api_config import AnySchedule, Api

STEPS = (
    "Pin",
    "HubModule",
    "Backbone",
    "ExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "DataGate",
    "ParsingSchema",
    "Transform",
    "Embedder",
    "Trainer",
    "Evaluator",
    "Pusher",
    "KServe",
    "Dashboard",
    "Predictor",
    "Alert",
)
"""The steps that can be placed; `HubModule` and `Backbone` stand for those of each module and backbone."""

_ON_GPU = ("Embedder", "Trainer", "Evaluator", "Predictor")
"""Those that run a model, and can use a GPU."""

JOINABLE = tuple(step for step in STEPS if step not in ("Pin", "Alert", *_ON_GPU))
"""The steps that can share a pod."""


def _known_step(name: str) -> str:
    if name not in STEPS:
        raise ValueError(f"there is no step '{name}'; {nearest(name, STEPS)}")
    return name


def _joinable(name: str) -> str:
    if name in STEPS and name not in JOINABLE:
        raise ValueError(f"{name} has a pod of its own; steps that can share one are: {', '.join(JOINABLE)}")
    return _known_step(name)


PodName = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]*$", max_length=40)]
"""The name of a pod that steps share."""


def _root(url: str) -> str:
    if not url.startswith(("gs://", "s3://", "minio://")):
        raise ValueError(
            f"'{url}' is not on gs://, s3:// or minio://, and Kubeflow Pipelines moves artifacts to and from these "
            "alone; what the steps keep themselves, in `state`, may be on a volume"
        )
    return url


def _quantity(value: str) -> str:
    # https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m|[kMGTPE]|[KMGTPE]i)?", value)
    if not match or float(match[1]) == 0:
        raise ValueError(f"'{value}' is no quantity above 0 as Kubernetes has them, such as 500m, 2, 512Mi or 32Gi")
    return value


Quantity = Annotated[str, AfterValidator(_quantity)]
"""A quantity as Kubernetes has them."""

Key = Annotated[str, Field(min_length=1)]

Mount = Annotated[str, Field(pattern=r"^/[^:]*$", examples=["/mnt/data"])]
"""An absolute path in the container."""

EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Toleration(Section):
    """A taint that pods of the step put up with, as Kubernetes has them."""

    key: str | None = None
    """The taint's key; all where it is absent, with the operator Exists."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Whether the value counts."""
    value: str | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; all where it is absent."""
    toleration_seconds: int | None = Field(default=None, ge=0)
    """For how many seconds a taint with the effect NoExecute is put up with."""

    @model_validator(mode="after")
    def _as_kubernetes_takes_it(self) -> "Toleration":
        if self.operator == "Exists" and self.value is not None:
            raise ValueError("the operator Exists takes no value; leave it out")
        if self.operator == "Equal" and self.key is None:
            raise ValueError("the operator Equal needs a key, such as nvidia.com/gpu")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise ValueError("toleration_seconds goes with the effect NoExecute")
        return self


class Expression(Section):
    """What a label of a node must be."""

    key: Key
    """The label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = "In"
    """How it is compared with `values`."""
    values: tuple[str, ...] = ()
    """What it is compared with."""

    @model_validator(mode="after")
    def _values(self) -> "Expression":
        wanted = {"In": True, "NotIn": True, "Gt": True, "Lt": True}.get(self.operator, False)
        if wanted != bool(self.values):
            raise ValueError(f"the operator {self.operator} takes {'values' if wanted else 'no values'}")
        return self


class Affinity(Section):
    """Nodes that pods of the step go to."""

    match: tuple[Expression, ...] = Field(min_length=1)
    """What a node's labels must be, all of them."""
    weight: int | None = Field(default=None, ge=1, le=100)
    """Where it is there, such nodes are only preferred, by so much."""


class Volume(Section):
    """A persistent volume claim, mounted in the step's container."""

    claim: Key
    """The claim's name; it is there already, in the namespace of the runs."""
    path: Mount
    """Where it is mounted."""
    sub_path: str | None = None
    """A folder in the volume that is mounted, rather than all of it."""


class FromKeys(Section):
    """A secret or config map."""

    name: Key
    """Its name."""
    env: dict[EnvName, Key] = Field(default={}, examples=[{"AWS_ACCESS_KEY_ID": "key"}])
    """Environment variables, and the key of which each takes the value."""
    path: Mount | None = None
    """Where it is mounted, with a file for each key."""
    optional: bool = False
    """Whether the step begins without it, where it is not there."""

    @model_validator(mode="after")
    def _is_used(self) -> "FromKeys":
        if not self.env and self.path is None:
            raise ValueError("give `env`, environment variables and their keys, or `path`, where it is mounted")
        return self


class Retries(Section):
    """How often a step that failed is tried again."""

    count: int = Field(ge=1, le=100)
    """At most."""
    backoff_seconds: int = Field(default=60, ge=0, le=86_400)
    """The seconds before the first."""
    backoff_factor: float = Field(default=2.0, ge=1.0, le=100.0)
    """How many times as long each wait is as the one before."""
    max_seconds: int = Field(default=3600, ge=1, le=86_400)
    """The longest wait."""


class Placement(Section):
    """What the pod of a step is given, and where it runs."""

    cpu: Quantity | None = Field(default=None, examples=["4", "500m"])
    """Its limit of processors."""
    memory: Quantity | None = Field(default=None, examples=["32Gi"])
    """Its limit of memory."""
    cpu_request: Quantity | None = None
    """What a node must have free."""
    memory_request: Quantity | None = None
    """What a node must have free."""
    ephemeral_storage: Quantity | None = Field(default=None, examples=["100Gi"])
    """A volume of its own for as long as the step runs, mounted at `/tmp`."""
    gpus: int = Field(default=0, ge=0, le=64)
    """How many GPUs it gets; for steps that run a model."""
    gpu_type: Key = "nvidia.com/gpu"
    """The resource that GPUs are, as the cluster calls them."""
    node_selector: dict[Key, str] = Field(default={}, examples=[{"cloud.google.com/gke-accelerator": "nvidia-l4"}])
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that it puts up with."""
    affinity: tuple[Affinity, ...] = ()
    """Nodes that it must or should go to."""
    volumes: tuple[Volume, ...] = ()
    """Persistent volume claims that are mounted."""
    secrets: tuple[FromKeys, ...] = ()
    """Secrets, as environment variables or files."""
    config_maps: tuple[FromKeys, ...] = ()
    """Config maps, as environment variables or files."""
    shared_memory: Quantity | None = Field(default=None, examples=["8Gi"])
    """The size of `/dev/shm`."""
    env: dict[EnvName, str] = Field(default={}, examples=[{"TF_GPU_ALLOCATOR": "cuda_malloc_async"}])
    """Environment variables."""
    retries: Retries | None = None
    """Whether it is tried again where it fails; a Trainer then goes on from its last checkpoint."""
    timeout_seconds: int | None = Field(default=None, ge=1, le=31_536_000)
    """After how many seconds it is stopped, and has failed."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    """When the image is pulled."""

    @model_validator(mode="after")
    def _possible(self) -> "Placement":
        for what in ("cpu", "memory"):
            limit, request = getattr(self, what), getattr(self, f"{what}_request")
            if limit and request and amount(request) > amount(limit):
                raise ValueError(f"{what}_request {request} is more than the limit, {what}: {limit}")
        paths = [volume.path for volume in self.volumes]
        paths += [each.path for each in (*self.secrets, *self.config_maps) if each.path]
        paths += ["/dev/shm"] if self.shared_memory else []
        paths += ["/tmp"] if self.ephemeral_storage else []
        if twice := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"two things are mounted at {twice[0]}")
        return self


class SecretKey(Section):
    """A key of a secret."""

    secret: Key
    """The secret's name; it is there already, in the namespace of the runs."""
    key: Key
    """The key."""


class Alert(Section):
    """A webhook that is told how runs end."""

    webhook: str | SecretKey = Field(
        examples=["https://alerts.example/hubline", {"secret": "alerts", "key": "url"}], union_mode="left_to_right"
    )
    """Its URL, or the key of a secret that holds it."""
    on: Literal["failure", "always"] = "failure"
    """Whether it hears of runs that fail, or of all."""

    @field_validator("webhook")
    @classmethod
    def _is_a_url(cls, webhook: str | SecretKey) -> str | SecretKey:
        if isinstance(webhook, str) and not webhook.startswith(("http://", "https://")):
            raise ValueError(f"'{webhook}' is no URL that begins with http:// or https://")
        return webhook

    @property
    def warning(self) -> str | None:
        """What is not well about it."""
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
    """A quantity of Kubernetes as a number: processors, or bytes."""
    number = quantity.rstrip("mkKMGTPEi")
    unit = quantity[len(number) :]
    return float(number) * (_FACTORS[unit.replace("k", "K")] if unit else 1.0)


class Kubeflow(Section):
    """How the pipeline runs on Kubeflow Pipelines."""

    image: str | None = Field(default=None, min_length=1, examples=["registry.example/hubline@sha256:…"])
    """The image of every step, as `make image` builds it, by its digest; `hubline compile --image` gives another."""
    pipeline_root: Annotated[str, AfterValidator(_root)] | None = Field(default=None, examples=["gs://bucket/runs"])
    """Where artifacts go; that of the installation where it is absent."""
    state: str | None = Field(
        default=None, pattern=r"^(gs://|/)", examples=["gs://bucket/state/taxi-tips", "/mnt/state"]
    )
    """What lives on from run to run: checkpoints of a run cut short, ingested shards, kept vectors. A folder in a
    volume that every step mounts, or in a bucket on gs://."""
    join: dict[PodName, tuple[Annotated[str, AfterValidator(_joinable)], ...]] | None = Field(
        default=None, examples=[{"CheckData": ["StatisticsGen", "SchemaGen", "ExampleValidator", "DataGate"]}]
    )
    """Steps that share a pod, by a name for the pod; only steps that use no GPU. Where it is absent, steps that are
    cached together anyway share one; with {}, none do."""
    steps: dict[str, Placement] = Field(default={}, examples=[{"Trainer": {"gpus": 1, "memory": "32Gi"}}])
    """What each step, or pod that steps share, is given by its name, and where it runs."""
    every_step: Placement = Placement()
    """The same for every step; what a step says itself goes before it, key by key."""
    image_pull_secrets: tuple[Key, ...] = ()
    """The secrets that the image is pulled with."""
    api: Api = Api()
    """Where `hubline submit` and `hubline schedule` find Kubeflow Pipelines."""
    service_account: Key | None = Field(default=None, examples=["pipeline-runner"])
    """The Kubernetes service account of the runs' pods; that of the installation where it is absent."""
    experiment: str | None = Field(default=None, min_length=1)
    """The experiment that runs belong to; one named as the pipeline where it is absent."""
    schedule: AnySchedule | None = Field(
        default=None, examples=["0 3 * * *", {"cron": "0 3 * * *", "time_zone": "Europe/Berlin"}]
    )
    """When runs begin of themselves, once `hubline schedule apply` has said so: cron in UTC, or a mapping."""
    alert: Alert | None = None
    """Who is told of runs that fail."""

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
            raise ValueError(f"{steps[clash[0].lower()]} is the name of a step; call the pod something else")
        return join

    @field_validator("steps")
    @classmethod
    def _are_there(cls, steps: dict[str, Placement], info: ValidationInfo) -> dict[str, Placement]:
        join: dict[str, tuple[str, ...]] = info.data.get("join") or {}
        in_pods = {step: pod for pod, members in join.items() for step in members}
        for name in steps:
            if name in in_pods:
                raise ValueError(f"{name} shares the pod {in_pods[name]}; place that")
            if name not in join:
                _known_step(name)
        return steps

    @model_validator(mode="after")
    def _gpus_are_used(self) -> "Kubeflow":
        idle = [name for name, step in self.steps.items() if step.gpus and name not in _ON_GPU]
        if idle or self.every_step.gpus:
            where = f"steps.{idle[0]}" if idle else "every_step"
            raise ValueError(
                f"{where}: gpus are for steps that run a model: {', '.join(_ON_GPU)}; leave them out, for a GPU that "
                "stands idle is one that another run waits for"
            )
        return self

    def placement(self, step: str) -> Placement:
        """What a step is given, by its name without what is after a dot."""
        own = self.steps.get(step)
        said = {key: getattr(own, key) for key in own.model_fields_set} if own else {}
        return self.every_step.model_copy(update=said)
