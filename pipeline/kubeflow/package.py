"""The package that Kubeflow Pipelines takes: the graph as its pipeline spec, schema 2.1.

Of a step the package holds how it is started, what goes in and out, and where it runs. What a step is told, its
properties, it gets at run time: the first step, `Pin`, builds the same graph from the pipeline file with what the run's
form says, and hands each step its properties as one parameter. So spans, changed files and the form act as they do on a
laptop, and the backend's cache sees them before a pod is started.
"""

import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.types import Channel
from tfx.utils import name_utils

from components.pin.pins import AnyPins, Files, Pins, PinsToInfer, ServedVersion
from pipeline.config import AnyFile, InferFile
from pipeline.graph import build
from pipeline.kubeflow import placed
from pipeline.kubeflow.config import Kubeflow
from pipeline.kubeflow.parameters import Parameter, dumped, offered
from pipeline.kubeflow.step import PROPERTIES
from pipeline.places import OnCluster

Json = dict[str, Any]

PIN = "Pin"
SCHEMA_VERSION = "2.1.0"


def package(file: AnyFile, image: str) -> tuple[Json, Json]:
    """The pipeline spec, and the platform spec; the latter is empty where nothing is said of Kubernetes.

    Args:
        file: The pipeline file, with absolute paths.
        image: The image of every step.
    """
    steps = graph(file, unpinned(file))
    parameters = offered(file)
    executors = {_executor(PIN): {"container": _container(file.kubeflow, PIN, image, _pin_command(file, steps))}}
    components, tasks = {_component(PIN): _pin_component(steps, parameters)}, {task_name(PIN): _pin_task(parameters)}
    for step in steps:
        components[_component(step.id)] = _step_component(step)
        tasks[task_name(step.id)] = _step_task(step, file.kubeflow)
        command = [*_STEP_COMMAND, name_utils.get_full_name(step.executor_spec.executor_class), _types(step), "{{$}}"]
        executors[_executor(step.id)] = {"container": _container(file.kubeflow, step.id, image, command)}
    spec = {
        "pipelineInfo": {"name": file.name, "description": _about(file)},
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": "hubline",
        "root": {
            "inputDefinitions": {"parameters": {each.name: _form_field(each) for each in parameters}},
            "dag": {"tasks": tasks},
        },
        "components": components,
        "deploymentSpec": {"executors": executors},
    }
    if file.kubeflow.pipeline_root:
        spec["defaultPipelineRoot"] = file.kubeflow.pipeline_root
    return spec, _platform(file.kubeflow, [PIN, *(step.id for step in steps)])


def graph(file: AnyFile, pins: AnyPins) -> list[BaseNode]:
    """The steps of a pipeline file on a cluster, but for the first."""
    return build(file, pins, OnCluster(file.kubeflow.state or "")).components


def unpinned(file: AnyFile) -> AnyPins:
    """In place of what `Pin` finds at run time: enough to know which steps there are."""
    files, modules = Files(by_split={}), dict.fromkeys(file.hubs, "")
    if isinstance(file, InferFile):
        return PinsToInfer(files=files, modules=modules, model=_asked(file), labels=None, pushed=None)
    return Pins(
        files=files,
        data_schema="?" if file.data.data_schema else None,
        baseline=None,
        vocabularies={},
        modules=modules,
        backbones=dict.fromkeys(file.backbones, ""),
        serving=None,
    )


def _asked(file: InferFile) -> ServedVersion | None:
    return ServedVersion(path="", digest="") if file.model else None


def task_name(step: str) -> str:
    """A step's name as Argo's tasks have them, such as `hubmodule-photos` of `HubModule.photos`."""
    return step.lower().replace(".", "-").replace("_", "-")


def _component(step: str) -> str:
    return f"comp-{task_name(step)}"


def _executor(step: str) -> str:
    return f"exec-{task_name(step)}"


def _about(file: AnyFile) -> str:
    if isinstance(file, InferFile):
        return f"Predictions about the records in {file.data.examples}."
    return (
        f"Trains a model on {file.data.examples} and pushes it to {file.serving.destination} where it is good enough."
    )


# The first step


def _pin_command(file: AnyFile, steps: list[BaseNode]) -> list[str]:
    names = [step.id for step in steps]
    return ["python", "-m", "pipeline.kubeflow.pin", json.dumps(dumped(file)), json.dumps(names), "{{$}}"]


def _pin_component(steps: list[BaseNode], parameters: list[Parameter]) -> Json:
    outputs = {
        task_name(step.id): {
            "parameterType": "STRING",
            "description": f"What {step.id} is told: JSON, or a file of it.",
        }
        for step in steps
    }
    return {
        "executorLabel": _executor(PIN),
        "inputDefinitions": {"parameters": {each.name: _form_field(each) for each in parameters}},
        "outputDefinitions": {"parameters": outputs},
    }


def _form_field(parameter: Parameter) -> Json:
    return {
        "parameterType": parameter.type,
        "defaultValue": parameter.default,
        "isOptional": True,
        "description": parameter.description,
    }


def _pin_task(parameters: list[Parameter]) -> Json:
    inputs = {each.name: {"componentInputParameter": each.name} for each in parameters}
    # Never cached: it is there to see what has changed.
    return {
        "taskInfo": {"name": PIN},
        "componentRef": {"name": _component(PIN)},
        "inputs": {"parameters": inputs},
        "cachingOptions": {},
    }


# The others

_STEP_COMMAND = ["python", "-m", "pipeline.kubeflow.step"]


def _types(step: BaseNode) -> str:
    """The class of each artifact that goes in or out, which the launcher does not tell."""
    channels = {**step.inputs, **step.outputs}
    return json.dumps({name: name_utils.get_full_name(channel.type) for name, channel in channels.items()})


def _step_component(step: BaseNode) -> Json:
    inputs: Json = {
        "parameters": {
            PROPERTIES: {"parameterType": "STRING", "description": f"What {step.id} is told: JSON, or a file of it."}
        }
    }
    if step.inputs:
        inputs["artifacts"] = {
            name: json_format.MessageToDict(compiler_utils.build_input_artifact_spec(channel))
            for name, channel in step.inputs.items()
        }
    outputs = {name: _output(channel) for name, channel in step.outputs.items()}
    return {"executorLabel": _executor(step.id), "inputDefinitions": inputs} | (
        {"outputDefinitions": {"artifacts": outputs}} if outputs else {}
    )


def _output(channel: Channel) -> Json:
    if channel.type_name.startswith("system."):  # a type of KFP's own, which the dashboard draws
        return {"artifactType": {"schemaTitle": channel.type_name, "schemaVersion": "0.0.1"}}
    return json_format.MessageToDict(compiler_utils.build_output_artifact_spec(channel))


def _step_task(step: BaseNode, kubeflow: Kubeflow) -> Json:
    inputs: Json = {
        "parameters": {
            PROPERTIES: {
                "taskOutputParameter": {"producerTask": task_name(PIN), "outputParameterKey": task_name(step.id)}
            }
        }
    }
    if step.inputs:
        inputs["artifacts"] = {name: _produced(channel) for name, channel in step.inputs.items()}
    before = sorted({task_name(PIN), *(task_name(node.id) for node in step.upstream_nodes)})
    return {
        "taskInfo": {"name": step.id},
        "componentRef": {"name": _component(step.id)},
        "inputs": inputs,
        "dependentTasks": before,
        "cachingOptions": {"enableCache": True},
    } | placed.retry_policy(kubeflow.placement(_kind(step.id)))


def _produced(channel: Channel) -> Json:
    task = task_name(channel.producer_component_id)
    return {"taskOutputArtifact": {"producerTask": task, "outputArtifactKey": channel.output_key}}


def _kind(step: str) -> str:
    return step.partition(".")[0]


# All


def _container(kubeflow: Kubeflow, step: str, image: str, command: list[str]) -> Json:
    module = command.index("-m") + 2
    return {"image": image, "command": command[:module], "args": command[module:]} | placed.container(
        kubeflow.placement(_kind(step))
    )


def _platform(kubeflow: Kubeflow, steps: list[str]) -> Json:
    said: Mapping[str, Json] = {
        _executor(step): placed.on_kubernetes(kubeflow.placement(_kind(step)), kubeflow.image_pull_secrets)
        for step in steps
    }
    executors = {label: config for label, config in said.items() if config}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else {}
