"""Runs one step in its container: `python -m pipeline.kubeflow.step EXECUTOR TYPES EXECUTOR_INPUT`.

The executor is TFX's own way to run a step. Nothing is imported that it does not import, so that a pod is at work soon.
"""

import json
import sys
import tempfile

from tfx.dsl.components.base import base_beam_executor, base_executor
from tfx.utils import import_utils

from components.beam import IN_ONE_PROCESS
from pipeline.kubeflow.alert import leave_word
from pipeline.kubeflow.launched import Launched
from pipeline.kubeflow.properties import taken
from preprocessing.errors import UserError

PROPERTIES = "properties"
"""The parameter by which a step gets its properties, as JSON."""


def main(arguments: list[str]) -> int:
    """Runs the step; 1 where it failed, with what was wrong as the last line."""
    executor, types, launched = arguments
    handed = Launched.model_validate_json(launched)
    try:
        run_step(executor, json.loads(types), handed)
    except UserError as error:
        leave_word(handed, str(error))
        print(error, file=sys.stderr)
        return 1
    except Exception as fault:
        leave_word(handed, f"{type(fault).__name__}: {fault}")
        raise
    return 0


def run_step(executor_path: str, types: dict[str, str], launched: Launched) -> None:
    """Runs an executor on what the launcher hands it.

    Args:
        executor_path: The class of the executor.
        types: The class of each artifact that goes in or out, by name.
        launched: What the launcher hands it, with the step's properties as one parameter.
    """
    inputs, outputs = launched.artifacts(types)
    properties = taken(launched.inputs.parameters[PROPERTIES])
    executor_class = import_utils.import_class_by_path(executor_path)
    with tempfile.TemporaryDirectory() as folder:
        executor_class(_context(executor_class, folder)).Do(inputs, outputs, properties)
    launched.finish(outputs)


def _context(executor_class: type, folder: str) -> base_executor.BaseExecutor.Context:
    if issubclass(executor_class, base_beam_executor.BaseBeamExecutor):
        return base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=list(IN_ONE_PROCESS), tmp_dir=folder, unique_id="step"
        )
    return base_executor.BaseExecutor.Context(tmp_dir=folder, unique_id="step")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
