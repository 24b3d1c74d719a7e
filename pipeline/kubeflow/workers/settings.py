"""What the step's pod knows of the workers' pods: an environment variable in the package.

Not an argument, because arguments are part of the backend's cache key: moving workers to other nodes must not train
again.
"""

import os

from hubline.components.steps import PLACED_LIKE
from hubline.core.config_base import Section
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.pipeline.kubeflow.escaping import argument
from hubline.pipeline.kubeflow.placement import Placement
from hubline.pipeline.kubeflow.workers_config import WorkerJob

TRAINER = "Trainer"
EXECUTOR = "hubline.pipeline.kubeflow.workers.executor.Executor"
_VARIABLE = "HUBLINE_WORKER_PODS"

_OF_THE_STEP = ("cpu", "memory", "cpu_request", "memory_request", "gpus", "gpu_type", "node_selector", "tolerations",
                "affinity", "shared_memory", "ephemeral_storage")  # fmt: skip
"""Settings of the Trainer that its workers get instead of the step's own pod, which trains nothing."""


class WorkerPods(Section):
    """The job and its pods."""

    job: WorkerJob
    image: str
    placement: Placement
    image_pull_secrets: tuple[str, ...] = ()


def coordinating(kubeflow: Kubeflow, image: str) -> Kubeflow:
    """Moves the Trainer's resources and nodes to its workers.

    The step's own pod keeps environment, volumes, retries and time limit, and otherwise gets what every step gets.

    Args:
        kubeflow: The section of the file.
        image: Image of every step.
    """
    placement = kubeflow.placement(TRAINER)
    pods = WorkerPods(
        job=kubeflow.training, image=image, placement=placement, image_pull_secrets=kubeflow.image_pull_secrets
    )
    changed = {key: getattr(kubeflow.every_step, key) for key in _OF_THE_STEP}
    changed["env"] = placement.env | {_VARIABLE: argument(pods.model_dump(mode="json", exclude_defaults=True))}
    # Steps that are placed like the Trainer keep what it had.
    steps = {name: _of_its_own(kubeflow.placement(name)) for name, like in PLACED_LIKE.items() if like == TRAINER}
    steps[TRAINER] = placement.model_copy(update=changed)
    return kubeflow.model_copy(update={"steps": {**kubeflow.steps, **steps}})


def _of_its_own(placement: Placement) -> Placement:
    """The placement with every key set, so that no key comes from another step."""
    return placement.model_copy(update={key: getattr(placement, key) for key in Placement.model_fields})


def given() -> WorkerPods:
    """The settings in this pod's environment.

    Raises:
        RunError: if there are none.
    """
    text = os.environ.get(_VARIABLE)
    if text is None:
        raise RunError(f"{_VARIABLE} is not set: several workers need a package of `hubline compile`")
    return WorkerPods.model_validate_json(text)
