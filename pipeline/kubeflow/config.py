"""The type of the `kubeflow` section."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from hubline.components.steps import NAMES, ON_GPU, PLACED_LIKE
from hubline.core.config_base import Section, is_remote, normalized
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.kubeflow.api_config import AnySchedule, Api
from hubline.pipeline.kubeflow.placement import Key, Placement
from hubline.pipeline.kubeflow.workers_config import ShardJob, WorkerJob

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
    training: WorkerJob = WorkerJob()
    """The job of the workers, with several `training.workers`. Their resources and nodes are those of the step Trainer,
    for each worker."""
    workers: ShardJob = ShardJob()
    """The jobs of steps with several `workers`."""
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
        names = [name for name in (PLACED_LIKE.get(step), step) if name in self.steps]
        settings = {key: getattr(self.steps[name], key) for name in names for key in self.steps[name].model_fields_set}
        return self.every_step.model_copy(update=settings)
