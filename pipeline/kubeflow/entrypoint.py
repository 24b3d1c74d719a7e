"""Runs one step in its container: `python -m hubline.pipeline.kubeflow.entrypoint EXECUTOR TYPES EXECUTOR_INPUT`.

Runs the TFX executor, and imports nothing else, so that pods start quickly.
"""

import json
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact
from tfx.utils import import_utils

from hubline.components.beam import IN_ONE_PROCESS
from hubline.components.steps import STEPS
from hubline.core import interruption, storage
from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.core.garbage import collect_none_at_exit
from hubline.pipeline.kubeflow import logs
from hubline.pipeline.kubeflow.exec_properties import taken
from hubline.pipeline.kubeflow.executor_io import ExecutorInput
from hubline.pipeline.kubeflow.notify import record_failure
from hubline.pipeline.kubeflow.workers_config import VARIABLE as WORKERS

PROPERTIES = "properties"
"""Parameter with a step's execution properties, as JSON."""
BEAM = "HUBLINE_BEAM"
"""Environment variable with `BeamArguments` as JSON. The backend's cache keys cover a container's parameters, command,
arguments and image, but not its environment, and no result depends on where Beam runs."""

_BEAM_EXECUTORS = frozenset(step.executor for step in STEPS if step.uses_beam)
_SPREAD_EXECUTORS = frozenset(step.executor for step in STEPS if step.is_spread)

NOTHING: Mapping[str, list[Artifact]] = MappingProxyType({})


class BeamArguments(Section):
    """Beam configuration of a step."""

    arguments: tuple[str, ...] = ()
    """Beam pipeline arguments."""
    scratch: str | None = None
    """Folder for temporary files that workers outside the pod can see; None if the workers are in the pod."""

    @classmethod
    def of_environment(cls) -> "BeamArguments":
        """The configuration of this container; without one, Beam's pipelines run in the step's own process."""
        return cls.model_validate_json(os.environ[BEAM]) if BEAM in os.environ else cls(arguments=IN_ONE_PROCESS)


def main(arguments: list[str]) -> int:
    """Runs the step; returns 1 on failure and 143 after SIGTERM, with the error in the last line of the log."""
    executor, types, launched = arguments
    handed = ExecutorInput.model_validate_json(launched)
    with interruption.handled():
        try:
            handed.finish(execute(executor, json.loads(types), handed))
        except Exception as fault:
            return explain(fault, handed)
    return 0


def explain(fault: Exception, launched: ExecutorInput, step: str = "") -> int:
    """Reports why a step failed, in the log and for the notification; re-raises unexpected errors.

    Args:
        fault: The exception that ended the step.
        launched: The launcher's input.
        step: Name of the step, if several share the pod.

    Returns:
        The exit code.
    """
    before = f"{step}: " if step else ""
    if number := interruption.ended_by():
        error, code = f"stopped by {number.name}", interruption.exit_code(number)
    elif isinstance(fault, UserError):
        error, code = str(fault), 1
    else:
        record_failure(launched, f"{type(fault).__name__}: {fault}", step)
        raise fault
    record_failure(launched, error, step)
    print(f"{before}{error}", file=sys.stderr)
    return code


def execute(
    executor_path: str, types: Mapping[str, str], launched: ExecutorInput, given: Mapping[str, list[Artifact]] = NOTHING
) -> dict[str, list[Artifact]]:
    """Runs an executor.

    Args:
        executor_path: Import path of the executor class.
        types: Class of each input and output artifact, by name.
        launched: The launcher's input, with the step's properties as one parameter.
        given: Inputs that don't come from the launcher.

    Returns:
        The output artifacts.
    """
    properties = taken(launched.inputs.parameters[PROPERTIES])
    beam = BeamArguments.of_environment() if executor_path in _BEAM_EXECUTORS else None
    shared = beam.scratch if beam else None
    inputs, outputs = launched.artifacts(types, as_they_are=shared is not None)
    with _scratch(shared) as folder:
        executor = created(executor_path, folder, beam)
        if WORKERS in os.environ and executor_path in _SPREAD_EXECUTORS:
            # Imported here because most steps have no workers, and need no client of Kubernetes.
            from hubline.pipeline.kubeflow.workers import shards

            shards.run(executor_path, executor, inputs, properties)
        executor.Do(inputs | dict(given), outputs, properties)
    return outputs


def created(executor_path: str, folder: str, beam: BeamArguments | None) -> Any:
    """An executor.

    Args:
        executor_path: Import path of the executor class.
        folder: Folder for temporary files.
        beam: Beam configuration; None for a step without Beam.
    """
    return import_utils.import_class_by_path(executor_path)(_context(folder, beam))


@contextmanager
def _scratch(shared: str | None) -> Iterator[str]:
    """A temporary folder: on this machine, or in a folder that other machines see."""
    if shared is None:
        with tempfile.TemporaryDirectory() as folder:
            yield folder
        return
    folder = f"{shared}/{uuid.uuid4().hex}"
    try:
        yield folder
    finally:
        storage.remove_files_below(folder)


def _context(folder: str, beam: BeamArguments | None) -> base_executor.BaseExecutor.Context:
    if beam is None:
        return base_executor.BaseExecutor.Context(tmp_dir=folder, unique_id="step")
    # Imported here because Beam takes six seconds to import, and half of the steps don't use it.
    from tfx.dsl.components.base import base_beam_executor

    return base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam.arguments), tmp_dir=folder, unique_id="step"
    )


if __name__ == "__main__":
    logs.to_pod()
    collect_none_at_exit()
    sys.exit(main(sys.argv[1:]))
