"""First step of every run, in its container: `python -m hubline.pipeline.kubeflow.pin FILE STEPS EXECUTOR_INPUT`.

Pins data, modules and serving version as they are now, as `hubline run` does at its start, and passes each step its
execution properties.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hubline.artifacts import file_list
from hubline.components.node import in_order
from hubline.core import interruption
from hubline.core.errors import RunError
from hubline.core.garbage import collect_none_at_exit
from hubline.core.shard_cache import ShardCache
from hubline.pipeline.graph import graph
from hubline.pipeline.kubeflow import logs
from hubline.pipeline.kubeflow.entrypoint import explain
from hubline.pipeline.kubeflow.exec_properties import handed
from hubline.pipeline.kubeflow.executor_io import ExecutorInput
from hubline.pipeline.kubeflow.notify import RUN_ID
from hubline.pipeline.kubeflow.parameter_definitions import has_workers, with_changes
from hubline.pipeline.kubeflow.tasks import task_name
from hubline.pipeline.kubeflow.workers import preflight
from hubline.pipeline.kubeflow.workers.settings import TRAINER, spread_steps, workers_key
from hubline.pipeline.kubeflow.workers_config import SHARDS
from hubline.pipeline.paths import ClusterPaths
from hubline.pipeline.snapshot import check, pin


def main(arguments: list[str]) -> int:
    """Pins; returns 1 on failure and 143 after SIGTERM, with the errors in the last lines of the log."""
    values, steps, launched = (json.loads(argument) for argument in arguments)
    handed = ExecutorInput.model_validate(launched)
    form = {name: value for name, value in handed.inputs.parameters.items() if name != RUN_ID}
    with interruption.handled():
        try:
            handed.finish(parameters=properties(values, steps, form))
        except Exception as fault:
            return explain(fault, handed)
    return 0


def properties(values: Mapping[str, Any], steps: Sequence[str], given: Mapping[str, Any]) -> dict[str, str]:
    """Serialized execution properties of each step, by task name.

    Args:
        values: The pipeline file, as `dumped` returns it.
        steps: Steps of the package.
        given: Run parameters.

    Raises:
        UserError: if parameters are invalid, or something that the file refers to is missing.
        RunError: if the image's version of Hubline creates other steps than the package has.
    """
    file = with_changes(values, given)
    if has_workers(file):
        preflight.check(file.kubeflow.training.kind, workers_key(TRAINER))
    for step in spread_steps(file.kubeflow)[:1]:
        preflight.check(SHARDS, workers_key(step))
    pins = pin(file)
    check(file, pins)
    state = file.kubeflow.state or ""
    places = ClusterPaths(state)
    nodes = {node.id: node for node in in_order(graph(file, pins, places))}
    if list(nodes) != list(steps):
        raise RunError(
            f"the package has the steps {', '.join(steps)}, but this image builds {', '.join(nodes)} from the file; "
            "compile with the Hubline version of the image"
        )
    ShardCache(places.store).sweep()
    file_list.sweep(places.pins, newest=file_list.keep(pins.files, places.pins))
    return {task_name(name): handed(node.exec_properties, state) for name, node in nodes.items()}


if __name__ == "__main__":
    logs.to_pod()
    collect_none_at_exit()
    sys.exit(main(sys.argv[1:]))
