"""What the step's pod knows of the workers' pods: an environment variable in the package.

Not an argument, because arguments are part of the backend's cache key: moving workers to other nodes must not train
again, and another number of pods must not compute shards again.
"""

import os

from hubline.components.steps import PLACED_LIKE, SPREAD
from hubline.core.config_base import Section
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.pipeline.kubeflow.escaping import argument
from hubline.pipeline.kubeflow.placement import Placement
from hubline.pipeline.kubeflow.workers_config import SHARDS, VARIABLE, KindName, ShardJob

TRAINER = "Trainer"
EXECUTOR = "hubline.pipeline.kubeflow.workers.executor.Executor"

_NODES = ("gpus", "gpu_type", "node_selector", "tolerations", "affinity", "shared_memory")
"""Settings of a step that its workers get instead of the step's own pod, which uses no GPU."""
_RESOURCES = ("cpu", "memory", "cpu_request", "memory_request", "ephemeral_storage")
"""Settings of the Trainer that its workers get instead of the step's own pod, which only waits. The own pods of other
steps assemble the results of all shards, and evaluate."""


class WorkerPods(Section):
    """The job and its pods."""

    step: str = TRAINER
    kind: KindName = "tfjob"
    job: ShardJob = ShardJob()
    image: str
    placement: Placement
    image_pull_secrets: tuple[str, ...] = ()
    state: str = ""
    """`kubeflow.state`."""

    @property
    def workers_key(self) -> str:
        """Key of the pipeline file with the number of workers."""
        return workers_key(self.step)

    @property
    def job_key(self) -> str:
        """Section of the pipeline file with the job's settings."""
        return "kubeflow.training" if self.step == TRAINER else "kubeflow.workers"


def workers_key(step: str) -> str:
    """Key of the pipeline file with the number of a step's workers."""
    return "training.workers" if step == TRAINER else f"kubeflow.steps.{step}.workers"


def training_in_pods(kubeflow: Kubeflow, image: str) -> Kubeflow:
    """Moves the Trainer's resources and nodes to its workers.

    Args:
        kubeflow: The section of the file.
        image: Image of every step.
    """
    # Steps that are placed like the Trainer keep what it had.
    steps = {name: _of_its_own(kubeflow.placement(name)) for name, like in PLACED_LIKE.items() if like == TRAINER}
    steps[TRAINER] = _coordinating(kubeflow, TRAINER, kubeflow.training.kind, kubeflow.training, image)
    return kubeflow.model_copy(update={"steps": {**kubeflow.steps, **steps}})


def spread_over_pods(kubeflow: Kubeflow, image: str) -> Kubeflow:
    """Moves the resources and nodes of steps with several `workers` to those.

    Args:
        kubeflow: The section of the file.
        image: Image of every step.
    """
    steps = {name: _coordinating(kubeflow, name, SHARDS, kubeflow.workers, image) for name in spread_steps(kubeflow)}
    return kubeflow.model_copy(update={"steps": {**kubeflow.steps, **steps}})


def spread_steps(kubeflow: Kubeflow) -> list[str]:
    """Steps whose shards several pods share."""
    return [name for name in SPREAD if kubeflow.placement(name).workers > 1]


def _coordinating(kubeflow: Kubeflow, step: str, kind: KindName, job: ShardJob, image: str) -> Placement:
    """The placement of a step's own pod: what concerns GPUs and nodes is that of every step, and of the Trainer's pod
    its resources, too."""
    placement = kubeflow.placement(step)
    pods = WorkerPods(
        step=step,
        kind=kind,
        job=job,
        image=image,
        placement=placement,
        image_pull_secrets=kubeflow.image_pull_secrets,
        state=kubeflow.state or "",
    )
    moved = (*_NODES, *_RESOURCES) if step == TRAINER else _NODES
    changed = {key: getattr(kubeflow.every_step, key) for key in moved}
    changed["env"] = placement.env | {VARIABLE: argument(pods.model_dump(mode="json", exclude_defaults=True))}
    return placement.model_copy(update=changed)


def _of_its_own(placement: Placement) -> Placement:
    """The placement with every key set, so that no key comes from another step."""
    return placement.model_copy(update={key: getattr(placement, key) for key in Placement.model_fields})


def given() -> WorkerPods:
    """The settings in this pod's environment.

    Raises:
        RunError: if there are none.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        raise RunError(f"{VARIABLE} is not set: several workers need a package of `hubline compile`")
    return WorkerPods.model_validate_json(text)
