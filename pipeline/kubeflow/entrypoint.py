"""Runs one step in its container: `python -m hubline.pipeline.kubeflow.entrypoint EXECUTOR TYPES EXECUTOR_INPUT`.

The executor is TFX's own way to run a step. Nothing is imported that it does not import, so that a pod is at work soon.
"""

import json
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact
from tfx.utils import import_utils

from hubline.core import interruption, storage
from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.core.garbage import collect_none_at_exit
from hubline.pipeline.kubeflow import logs
from hubline.pipeline.kubeflow.exec_properties import taken
from hubline.pipeline.kubeflow.executor_io import Launched
from hubline.pipeline.kubeflow.notify import leave_word

PROPERTIES = "properties"
"""The parameter by which a step gets its properties, as JSON."""
BEAM = "beam"
"""The one of them that says how Beam runs, in a step that uses it, and is not the executor's."""

NOTHING: Mapping[str, list[Artifact]] = MappingProxyType({})


class Beaming(Section):
    """How Beam runs in a step."""

    arguments: tuple[str, ...] = ()
    """Those of its pipelines."""
    scratch: str | None = None
    """Where workers that are not in the pod see what is put there for the time being; None where they are."""


def main(arguments: list[str]) -> int:
    """Runs the step; 1 where it failed, 143 where SIGTERM stopped it, with what was wrong as the last line."""
    executor, types, launched = arguments
    handed = Launched.model_validate_json(launched)
    with interruption.handled():
        try:
            handed.finish(execute(executor, json.loads(types), handed))
        except Exception as fault:
            return explain(fault, handed)
    return 0


def explain(fault: Exception, launched: Launched, step: str = "") -> int:
    """Says why a step failed, in the log and to the alert, and gives the exit code; raises what nobody expected.

    Args:
        fault: What ended the step.
        launched: What the launcher handed the pod.
        step: The step, where the pod has several.
    """
    before = f"{step}: " if step else ""
    if number := interruption.ended_by():
        error, code = f"stopped by {number.name}", interruption.exit_code(number)
    elif isinstance(fault, UserError):
        error, code = str(fault), 1
    else:
        leave_word(launched, f"{type(fault).__name__}: {fault}", step)
        raise fault
    leave_word(launched, error, step)
    print(f"{before}{error}", file=sys.stderr)
    return code


def execute(
    executor_path: str, types: Mapping[str, str], launched: Launched, given: Mapping[str, list[Artifact]] = NOTHING
) -> dict[str, list[Artifact]]:
    """Runs an executor on what the launcher hands it.

    Args:
        executor_path: The class of the executor.
        types: The class of each artifact that goes in or out, by name.
        launched: What the launcher hands it, with the step's properties as one parameter.
        given: Inputs that the launcher does not hand it.

    Returns:
        What it has made.
    """
    properties = taken(launched.inputs.parameters[PROPERTIES])
    beam = Beaming.model_validate(properties.pop(BEAM)) if BEAM in properties else None
    shared = beam.scratch if beam else None
    inputs, outputs = launched.artifacts(types, as_they_are=shared is not None)
    executor_class = import_utils.import_class_by_path(executor_path)
    with _scratch(shared) as folder:
        executor_class(_context(folder, beam)).Do(inputs | dict(given), outputs, properties)
    return outputs


@contextmanager
def _scratch(shared: str | None) -> Iterator[str]:
    """A folder for what is gone after the step: on this machine, or in a folder that other machines see."""
    if shared is None:
        with tempfile.TemporaryDirectory() as folder:
            yield folder
        return
    folder = f"{shared}/{uuid.uuid4().hex}"
    try:
        yield folder
    finally:
        storage.remove_files_below(folder)


def _context(folder: str, beam: Beaming | None) -> base_executor.BaseExecutor.Context:
    if beam is None:
        return base_executor.BaseExecutor.Context(tmp_dir=folder, unique_id="step")
    # Imported here: Beam takes six seconds, and half of the steps do without.
    from tfx.dsl.components.base import base_beam_executor

    return base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(beam.arguments), tmp_dir=folder, unique_id="step"
    )


if __name__ == "__main__":
    logs.to_pod()
    collect_none_at_exit()
    sys.exit(main(sys.argv[1:]))
