"""Which steps may have several pods on Kubeflow."""

from collections.abc import Iterator

from hubline.components.steps import SPREAD
from hubline.core.config_errors import PlacedError
from hubline.pipeline.kubeflow.config import Kubeflow


def steps_with_workers_are_spread(kubeflow: Kubeflow) -> Iterator[PlacedError]:
    takes = f"steps that work shard by shard take workers: {', '.join(SPREAD)}"
    if kubeflow.every_step.workers > 1:
        yield ("kubeflow", "every_step", "workers"), f"{takes}; set them in kubeflow.steps"
    for name, placement in kubeflow.steps.items():
        if placement.workers > 1 and name not in SPREAD:
            instead = "; the Trainer's are training.workers" if name in ("Trainer", "Tuner") else ""
            yield ("kubeflow", "steps", name, "workers"), f"only {takes}{instead}"


RULES = (steps_with_workers_are_spread,)
