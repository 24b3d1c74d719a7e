"""Estimates the size of a run's Argo workflow from the package.

Argo stores a workflow as one Kubernetes object: what to run, and a node for everything that ran. Beyond 1 MiB, Argo
compresses the nodes (https://github.com/argoproj/argo-workflows/blob/main/workflow/packer/packer.go), which Kubeflow
Pipelines does not decompress: tasks then stay RUNNING for ever, and logs can't be reached.

The estimate follows https://github.com/kubeflow/pipelines/tree/master/backend/src/v2 of 2.17, whose installation has a
default retry strategy. Each template therefore becomes two nodes, one for the retries and one for the try, and each
node contains its inputs and outputs:

- A step's driver receives component, task, container and placement, and returns the pod's patch: twice.
- The step receives the patch, as does the template around it: four times.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

LIMIT = 1024 * 1024
"""Size in bytes above which Argo compresses (`MAX_WORKFLOW_SIZE`)."""
WARN_ABOVE = 700_000
"""Size in bytes above which to warn; lower, as names, hosts and messages in nodes differ between clusters."""

_PATCHES = 6
_DRIVER_INPUTS = 2
_NODES = 6
_NODE_BYTES = 1_750
"""Size of a node without inputs and outputs: names, times, states, host, location of its log. With this value, the
estimate equals the measured size of the digits example on a cluster (851 kB, before arguments were shortened)."""
_BASE_BYTES = 40_000
"""Templates, metadata, and the nodes of the run itself."""
_TEXT = "x"
_URI = _TEXT * 140
"""URI of an artifact: root, pipeline, run, task, a random part and the artifact's name."""
_METADATA = _TEXT * 120
_PROPERTIES = _TEXT * 160
"""Execution properties of a step: mostly the path of a file (`exec_properties.py`)."""
_LAUNCHER = _TEXT * 900
"""Constant part of every patch: the launcher's command, with addresses of the installation."""


@dataclass(frozen=True)
class WorkflowSize:
    """Size of a workflow in bytes of JSON."""

    total: int
    placed: bool
    """Whether the package contains placements."""
    by_step: Mapping[str, int]
    """By step name."""

    def warning(self, joinable: Iterable[str]) -> str | None:
        """Advice if the size approaches the limit; None otherwise.

        Args:
            joinable: Steps that could share a pod but don't, by name without the part after the dot.
        """
        if self.total <= WARN_ABOVE:
            return None
        largest = sorted(self.by_step, key=lambda step: -self.by_step[step])
        alone = [step for step in largest if step.partition(".")[0] in set(joinable)]
        shown = ", ".join(f"{step} {_kilobytes(self.by_step[step])}" for step in largest[:3])
        join = f"let steps share a pod (kubeflow.join: {{More: [{', '.join(alone[:3])}]}})" if len(alone) > 1 else ""
        shorter = "say what all steps are given shorter in kubeflow.every_step" if self.placed else ""
        return (
            f"the workflow of a run comes to about {self}: beyond {_kilobytes(LIMIT)} Argo compresses it, and Kubeflow "
            f"Pipelines no longer sees the states and logs of its steps. The largest are {shown}"
            + "".join(f"; {advice}" for advice in (join, shorter) if advice)
        )

    def __str__(self) -> str:
        return _kilobytes(self.total)


def workflow_size(spec: Json, platform: Json) -> WorkflowSize:
    """Estimates the size of a run's workflow.

    Args:
        spec: The pipeline spec.
        platform: The platform spec; empty without Kubernetes settings.
    """
    placed = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    executors = spec["deploymentSpec"]["executors"]
    by_step: dict[str, int] = {}
    for task in _tasks(spec, spec["root"]):
        component = spec["components"][task["componentRef"]["name"]]
        label = component["executorLabel"]
        container = executors[label]["container"]
        implementation = [_escaped(component), _escaped(container), _escaped(placed.get(label, {}))]
        task_bytes, patch = _escaped(task), _escaped(_patch(component, container, placed.get(label, {})))
        by_step[task["taskInfo"]["name"]] = (
            sum(implementation)
            + task_bytes
            + _DRIVER_INPUTS * (sum(implementation) + task_bytes)
            + _PATCHES * patch
            + _NODES * _NODE_BYTES
        )
    return WorkflowSize(_BASE_BYTES + 3 * _escaped(spec["root"]) + sum(by_step.values()), bool(placed), by_step)


def _tasks(spec: Json, component: Json) -> Iterator[Json]:
    for task in component["dag"]["tasks"].values():
        inner = spec["components"][task["componentRef"]["name"]]
        if "dag" in inner:
            yield from _tasks(spec, inner)
        else:
            yield task


def _kilobytes(count: int) -> str:
    return f"{count / 1000:,.0f} kB"


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _escaped(value: Any) -> int:
    """Length of a value as JSON inside a JSON string of the workflow."""
    return len(json.dumps(_text(value)))


def _patch(component: Json, container: Json, placed: Json) -> Json:
    """The pod patch that a step's driver creates: `initPodSpecPatch` in driver/driver.go."""
    inputs, outputs = component.get("inputDefinitions", {}), component.get("outputDefinitions", {})
    executor_input = {
        "inputs": {
            "parameterValues": dict.fromkeys(inputs.get("parameters", {}), _PROPERTIES),
            "artifacts": {name: _artifact(name, each) for name, each in inputs.get("artifacts", {}).items()},
        },
        "outputs": {
            "parameters": {name: {"outputFile": _URI} for name in outputs.get("parameters", {})},
            "artifacts": {name: _artifact(name, each) for name, each in outputs.get("artifacts", {}).items()},
            "outputFile": _URI,
        },
    }
    command = [_LAUNCHER, _text(executor_input), _text(component), "--", *container["command"], *container["args"]]
    return {"containers": [{"command": command, "env": container.get("env", [])}], "placed": placed}


def _artifact(name: str, definition: Json) -> Json:
    return {
        "artifacts": [{"name": name, "type": definition["artifactType"], "uri": _URI, "metadata": {"kept": _METADATA}}]
    }
