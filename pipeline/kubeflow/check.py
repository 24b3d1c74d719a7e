"""Validates a package by the rules of the Kubeflow Pipelines backend before it is uploaded."""

import re
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from hubline.core.config_errors import dotted
from hubline.core.errors import UserError
from hubline.pipeline.kubeflow.escaping import filled_in

Json = Mapping[str, Any]

# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names, which applies to the names
# of Argo's tasks
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

_LATER = frozenset(
    {
        "resourceCpuLimit",
        "resourceMemoryLimit",
        "resourceCpuRequest",
        "resourceMemoryRequest",
        "resourceType",
        "resourceCount",
    }
)
"""Keys added to the pipeline spec in KFP 2.4; older versions of its package don't know them."""


def check(spec: Json, platform: Json) -> None:
    """Validates a package against KFP's pipeline spec and the rules of its compiler.

    Raises:
        UserError: lists everything that the backend would reject.
    """
    faults = list(_faults(spec, platform))
    if faults:
        raise UserError("Kubeflow Pipelines would refuse the package:\n" + "\n".join(faults))


def _faults(spec: Json, platform: Json) -> Iterator[str]:
    try:
        json_format.ParseDict(_known(spec), pipeline_spec_pb2.PipelineSpec())
        deployment = pipeline_spec_pb2.PipelineDeploymentConfig()
        json_format.ParseDict(_known(spec["deploymentSpec"]), deployment)
    except json_format.ParseError as error:
        yield str(error)
        return
    yield from _faults_of_graph(spec)
    fields = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    defaults = {name: each.get("defaultValue") for name, each in fields.items()}
    for value, by_kubernetes in ((spec, False), (platform, False), (defaults, True)):
        yield from (f"{dotted(location)}: {why}" for location, why in filled_in(value, by_kubernetes))
    labels = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    yield from (
        f"the platform spec places '{label}', which is no executor" for label in labels - deployment.executors.keys()
    )


def _known(value: Any) -> Any:
    """Removes keys that the installed version of the pipeline spec does not know."""
    if isinstance(value, Mapping):
        known = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec.DESCRIPTOR
        later = _LATER if "resource_cpu_limit" not in known.fields_by_name else ()
        return {key: _known(each) for key, each in value.items() if key not in later}
    return [_known(each) for each in value] if isinstance(value, list) else value


def _faults_of_graph(spec: Json) -> Iterator[str]:
    executors, components = spec["deploymentSpec"]["executors"], spec["components"]
    for name, component in components.items():
        if "dag" not in component and component["executorLabel"] not in executors:
            yield f"the component {name} has no executor {component['executorLabel']}"
    for holder in (spec["root"], *(component for component in components.values() if "dag" in component)):
        yield from _faults_of_dag(components, holder)


def _faults_of_dag(components: Json, holder: Json) -> Iterator[str]:
    tasks = holder["dag"]["tasks"]
    for name, task in tasks.items():
        if not _LABEL.fullmatch(name):
            yield f"'{name}' cannot be the name of a task: small letters, digits and dashes, 63 at most"
        component = components.get(task["componentRef"]["name"])
        if component is None:
            yield f"the task {name} has no component {task['componentRef']['name']}"
            continue
        yield from (f"the task {name}: {fault}" for fault in _faults_of_inputs(components, holder, task, component))
    try:
        TopologicalSorter({name: waits_for(task) for name, task in tasks.items()}).prepare()
    except CycleError as error:
        yield f"tasks wait for each other: {', '.join(error.args[1])}"


def waits_for(task: Json) -> set[str]:
    """The tasks that a task depends on: explicit dependencies, and producers of its inputs, which the backend adds."""
    inputs = [source for given in task.get("inputs", {}).values() for source in given.values()]
    outputs = [source.get("taskOutputParameter") or source.get("taskOutputArtifact") for source in inputs]
    return {*task.get("dependentTasks", ()), *(output["producerTask"] for output in outputs if output)}


def _faults_of_inputs(components: Json, holder: Json, task: Json, component: Json) -> Iterator[str]:
    for sort in ("parameters", "artifacts"):
        wanted = component.get("inputDefinitions", {}).get(sort, {})
        given = task.get("inputs", {}).get(sort, {})
        needed = {name for name, one in wanted.items() if not one.get("isOptional")}
        yield from (f"nothing is given for the input {name}" for name in sorted(needed - given.keys()))
        yield from (f"there is no input {name}" for name in sorted(given.keys() - wanted.keys()))
        for name, source in given.items():
            if fault := _fault_of_source(components, holder, sort, source):
                yield f"the input {name}: {fault}"


def _fault_of_source(components: Json, holder: Json, sort: str, source: Json) -> str | None:
    if parameter := source.get("componentInputParameter"):
        known = holder.get("inputDefinitions", {}).get(sort, {})
        return None if parameter in known else f"there is no parameter {parameter}"
    output = source.get("taskOutputParameter") or source.get("taskOutputArtifact")
    if output is None:
        return None
    key, producer = output.get("outputParameterKey") or output["outputArtifactKey"], output["producerTask"]
    if producer not in holder["dag"]["tasks"]:
        return f"there is no task {producer}"
    made = components.get(holder["dag"]["tasks"][producer]["componentRef"]["name"], {})
    return None if key in made.get("outputDefinitions", {}).get(sort, {}) else f"{producer} gives no {key}"
