"""How large the Argo workflow of a run becomes, estimated from the package before it is sent.

Argo keeps a workflow as one Kubernetes object: what is to run, and a node for each thing that ran. Once that is longer
than 1 MiB, Argo compresses its nodes (https://github.com/argoproj/argo-workflows/blob/main/workflow/packer/packer.go),
which Kubeflow Pipelines does not decompress: its tasks stay RUNNING for ever, and logs are out of reach.

The estimate follows https://github.com/kubeflow/pipelines/tree/master/backend/src/v2 of 2.17, whose installation has a
default retry strategy. So each template becomes two nodes, the retries and the try, and each holds its inputs and
outputs:

- the driver of a step takes its component, task, container and placement, and gives the patch of its pod: twice;
- the step takes that patch, and so does the template that it is in: four times.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

LIMIT = 1024 * 1024
"""Bytes beyond which Argo compresses (`MAX_WORKFLOW_SIZE`)."""
WARN_ABOVE = 700_000
"""Bytes from which on a package is warned of: names, hosts and messages of nodes differ from cluster to cluster."""

_PATCHES = 6
_DRIVER_INPUTS = 2
_NODES = 6
_NODE_BYTES = 1_750
"""Of a node without inputs and outputs: names, times, states, host, where its log is kept. With it the estimate is
what the digits example came to on a cluster (851 kB, before arguments were shortened)."""
_BASE_BYTES = 40_000
"""Templates, metadata, and the nodes of the run itself."""
_TEXT = "x"
_URI = _TEXT * 140
"""An artifact's: the root, pipeline, run, task, a salt and the artifact's name."""
_METADATA = _TEXT * 120
_PROPERTIES = _TEXT * 160
"""What a step is told: the path of a file, mostly (`properties.py`)."""
_LAUNCHER = _TEXT * 900
"""What is the same in every patch: the launcher's command, with the addresses of the installation."""


@dataclass(frozen=True)
class WorkflowSize:
    """Bytes of a workflow as JSON."""

    total: int
    placed: bool
    """Whether the package says where steps run."""
    by_step: Mapping[str, int]
    """Of each step, by its name."""

    def warning(self, joinable: Iterable[str]) -> str | None:
        """What to do where the workflow comes near the limit.

        Args:
            joinable: The steps that could share a pod and don't, by their names without what is after a dot.
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
    """The estimated size of the workflow of a run.

    Args:
        spec: The pipeline spec.
        platform: The platform spec; empty where nothing is said of Kubernetes.
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
    """The length of a value as JSON in a text of the workflow's own JSON."""
    return len(json.dumps(_text(value)))


def _patch(component: Json, container: Json, placed: Json) -> Json:
    """What the driver makes of a step: `initPodSpecPatch` of driver/driver.go."""
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
