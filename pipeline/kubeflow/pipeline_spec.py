"""Builds the package for Kubeflow Pipelines: the graph as a pipeline spec, schema 2.1.

For each step, the package contains its command, inputs, outputs and placement. Execution properties follow at run time:
the first step, `Pin`, builds the same graph from the pipeline file and the run parameters, and passes each step its
properties as one parameter. So spans, changed files and run parameters have the same effect as on a laptop, and the
backend's cache sees them before it starts a pod.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.types import Channel
from tfx.utils import name_utils

from hubline.components.beam import Beam
from hubline.components.component import components
from hubline.components.node import in_order
from hubline.pipeline.config import AnyFile, InferFile, PipelineFile
from hubline.pipeline.graph import graph, unpinned
from hubline.pipeline.kubeflow import tasks
from hubline.pipeline.kubeflow.entrypoint import BEAM, PROPERTIES, BeamArguments
from hubline.pipeline.kubeflow.escaping import argument
from hubline.pipeline.kubeflow.executor_io import type_name
from hubline.pipeline.kubeflow.exit_handler import alerted, env, with_webhook
from hubline.pipeline.kubeflow.fused_steps import join
from hubline.pipeline.kubeflow.parameter_definitions import dumped, has_workers, offered
from hubline.pipeline.kubeflow.tasks import Input, Node, Task, from_form, task_name
from hubline.pipeline.kubeflow.workers import settings as workers
from hubline.pipeline.paths import ClusterPaths

Json = dict[str, Any]

PIN = "Pin"
SCHEMA_VERSION = "2.1.0"
_PROPERTIES: Json = {"parameterType": "STRING"}


def package(file: AnyFile, image: str) -> tuple[Json, Json]:
    """Builds the pipeline spec and the platform spec; the latter is empty without Kubernetes settings.

    Args:
        file: The pipeline file, with absolute paths.
        image: Image of every step.
    """
    nodes, parameters, kubeflow = _nodes(file), offered(file), with_webhook(file.kubeflow)
    if has_workers(file):
        kubeflow = workers.training_in_pods(kubeflow, image)
    kubeflow = workers.spread_over_pods(kubeflow, image)
    spec = {
        "pipelineInfo": {"name": file.name, "description": _about(file).replace("{{", "{ {")},
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": "hubline",
        "root": {
            "inputDefinitions": {"parameters": tasks.form_fields(parameters)},
            "dag": tasks.dag(nodes, kubeflow),
        },
        "components": tasks.components(nodes, kubeflow),
        "deploymentSpec": {
            "executors": tasks.executors(
                nodes, kubeflow, image, env(kubeflow.alert, kubeflow.state or "") | _beam(file)
            )
        },
    }
    if kubeflow.pipeline_root:
        spec["defaultPipelineRoot"] = kubeflow.pipeline_root
    executors = tasks.on_kubernetes(nodes, kubeflow)
    return spec, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}} if executors else {}


def _nodes(file: AnyFile) -> list[Node]:
    steps, form = on_cluster(file), from_form(offered(file))
    executors = {workers.TRAINER: workers.EXECUTOR} if has_workers(file) else {}
    tasks_of_steps = [_step(step, executors.get(step.id)) for step in steps]
    pin, others = _pin(file, steps, form), join(tasks_of_steps, pods(file))
    if file.kubeflow.alert:
        return alerted(pin, others, form, file.name, file.kubeflow)
    return [pin, *others]


def _beam(file: AnyFile) -> dict[str, str]:
    """The environment variable that configures Beam, if the file does."""
    if file.beam == Beam():
        return {}
    scratch = None if file.beam.in_step else f"{file.kubeflow.state}/scratch"
    return {BEAM: argument(BeamArguments(arguments=tuple(file.beam.arguments()), scratch=scratch).model_dump())}


def pods(file: AnyFile) -> Mapping[str, Sequence[str]]:
    """The steps that share a pod, by the pod's name: as in the file, or by default those that can share one at no cost.

    Sharing costs nothing if the backend's cache has either all of the steps or none: each one's inputs come only from
    others among them. An inferred schema thus belongs with the data, but a curated one, which changes independently,
    does not. Steps with settings of their own keep their own pod.
    """
    if file.kubeflow.join is not None:
        return file.kubeflow.join
    data, schema = ["ExampleGen", "StatisticsGen"], ["SchemaGen", "ParsingSchema"]
    is_curated = isinstance(file, PipelineFile) and file.data.data_schema is not None
    shared = {"Data": data, "Schema": schema} if is_curated else {"Data": data + schema}
    shared["DataChecks"] = ["ExampleValidator", "DataGate"]
    alone = {pod: [step for step in steps if step not in file.kubeflow.steps] for pod, steps in shared.items()}
    return {pod: steps for pod, steps in alone.items() if len(steps) > 1}


def on_cluster(file: AnyFile) -> list[BaseComponent]:
    """The steps of a pipeline file on a cluster, without `Pin`."""
    return components(in_order(graph(file, unpinned(file), ClusterPaths(file.kubeflow.state or ""))))


def _about(file: AnyFile) -> str:
    if isinstance(file, InferFile):
        return f"Predictions about the records in {file.data.examples}."
    return (
        f"Trains a model on {file.data.examples} and pushes it to {file.serving.destination} where it is good enough."
    )


def _pin(file: AnyFile, steps: list[BaseComponent], form: dict[str, Input]) -> Task:
    names = [step.id for step in steps]
    return Task(
        step=PIN,
        module="hubline.pipeline.kubeflow.pin",
        arguments=[argument(dumped(file)), argument(names), "{{$}}"],
        parameters=form,
        outputs={"parameters": {task_name(name): _PROPERTIES for name in names}},
        cached=False,  # its purpose is to notice changes
    )


def _step(step: BaseComponent, executor: str | None) -> Task:
    """The task of a step.

    Args:
        step: The step.
        executor: Import path of the executor class to use in place of the step's own.
    """
    handed = {"producerTask": task_name(PIN), "outputParameterKey": task_name(step.id)}
    outputs = {name: _artifact_type(channel) for name, channel in step.outputs.items()}
    return Task(
        step=step.id,
        module="hubline.pipeline.kubeflow.entrypoint",
        arguments=[executor or name_utils.get_full_name(step.executor_spec.executor_class), _types(step), "{{$}}"],
        parameters={PROPERTIES: Input(_PROPERTIES, {"taskOutputParameter": handed})},
        artifacts={name: _input(channel) for name, channel in step.inputs.items()},
        outputs={"artifacts": outputs} if outputs else {},
        after=[PIN, *(node.id for node in step.upstream_nodes)],
    )


def _types(step: BaseComponent) -> str:
    """Class of each input and output artifact, which the launcher doesn't pass."""
    channels = {**step.inputs, **step.outputs}
    return argument({name: type_name(channel.type) for name, channel in channels.items()})


def _input(channel: Channel) -> Input:
    produced = {"producerTask": task_name(channel.producer_component_id), "outputArtifactKey": channel.output_key}
    return Input(_artifact_type(channel), {"taskOutputArtifact": produced})


def _artifact_type(channel: Channel) -> Json:
    """Artifact type with its title only: its schema would occur a dozen times in the workflow, and the backend reads
    nothing but the title. The dashboard renders KFP's own types, `system.…`."""
    title = channel.type_name if "." in channel.type_name else f"tfx.{channel.type_name}"
    return {"artifactType": {"schemaTitle": title, "schemaVersion": "0.0.1"}}
