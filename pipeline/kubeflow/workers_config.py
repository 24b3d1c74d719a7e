"""The types of `kubeflow.training` and `kubeflow.workers`."""

from typing import Annotated, Literal

from pydantic import Field

from hubline.core.config_base import Section

VARIABLE = "HUBLINE_WORKER_PODS"
"""Environment variable of a step whose workers have pods of their own (`workers/settings.py`)."""

KindName = Literal["tfjob", "job", "shards"]
SHARDS: KindName = "shards"
"""Kinds of jobs: the two of `kubeflow.training.kind`, and the one of steps with several `workers`."""

LabelName = Annotated[str, Field(min_length=1, max_length=317)]
LabelValue = Annotated[str, Field(max_length=63)]


class ShardJob(Section):
    """The indexed Kubernetes Job of a step with several `workers`."""

    restarts: int = Field(default=3, ge=0, le=100)
    """How often each worker may be replaced if it is killed, for example because it runs out of memory. The new one
    skips shards that are done. Evictions and preemptions don't count, and an error in code or data is never retried."""
    pending_seconds: int = Field(default=1800, ge=1, le=604_800)
    """Seconds in which a worker must start; afterwards, the step fails and says what the workers wait for. While some
    workers run, the others may wait longer."""
    labels: dict[LabelName, LabelValue] = Field(default={}, examples=[{"kueue.x-k8s.io/queue-name": "gpus"}])
    """Labels of the job, for example the queue of Kueue."""


class WorkerJob(ShardJob):
    """The Kubernetes job of the workers, with `training.workers` of 2 or more."""

    kind: Literal["tfjob", "job"] = "tfjob"
    """`tfjob`: a TFJob of Kubeflow's Training Operator 1.x. `job`: an indexed Job of Kubernetes with a headless
    Service, without an operator."""
    restarts: int = Field(default=3, ge=0, le=100)
    """How often the workers may be restarted from the last checkpoint if one is killed, evicted or preempted. An error
    in a worker's code or data is never retried."""
    pending_seconds: int = Field(default=1800, ge=1, le=604_800)
    """Seconds in which all workers must start; afterwards, the step fails and says what they waited for."""
