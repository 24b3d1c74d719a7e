"""Tasks of a package, and their representation in the pipeline spec.

https://github.com/kubeflow/pipelines/blob/master/api/v2alpha1/pipeline_spec.proto
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from hubline.pipeline.kubeflow import pod_spec
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.pipeline.kubeflow.parameter_definitions import Parameter

Json = dict[str, Any]


def kind_of(step: str) -> str:
    """Name under which a step is declared and placed: `HubModule` for `HubModule.photos`."""
    return step.partition(".")[0]


def task_name(step: str) -> str:
    """Argo task name of a step, such as `hubmodule-photos` for `HubModule.photos`."""
    return step.lower().replace(".", "-").replace("_", "-")


@dataclass(frozen=True)
class Input:
    definition: Json
    """Its input definition in the component."""
    source: Json
    """Its source in the task."""


@dataclass(frozen=True)
class Task:
    """A container with inputs and outputs."""

    step: str
    """Name of the step, as shown on the dashboard."""
    module: str
    """Python module that it runs."""
    arguments: Sequence[str]
    parameters: Mapping[str, Input] = field(default_factory=dict)
    artifacts: Mapping[str, Input] = field(default_factory=dict)
    outputs: Json = field(default_factory=dict)
    after: Iterable[str] = ()
    """Steps that must end before it starts."""
    cached: bool = True
    in_any_case: bool = False
    """Whether it runs even if those steps fail."""

    @property
    def kind(self) -> str:
        """Name under which it is placed."""
        return kind_of(self.step)


@dataclass(frozen=True)
class Group:
    """Tasks that another task waits for as a whole."""

    step: str
    tasks: Sequence[Task]
    parameters: Mapping[str, Input]


Node = Task | Group


def from_form(parameters: Iterable[Parameter]) -> dict[str, Input]:
    """The run parameters as inputs."""
    fields = form_fields(parameters)
    return {name: Input(definition, {"componentInputParameter": name}) for name, definition in fields.items()}


def form_fields(parameters: Iterable[Parameter]) -> Json:
    """Definitions of the run parameters."""
    return {
        each.name: {
            "parameterType": each.type,
            "defaultValue": each.default,
            "isOptional": True,
            "description": each.description,
        }
        for each in parameters
    }


def of_the_run(what: str, description: str) -> Input:
    """An input for a property of the run that only the backend knows, such as its ID."""
    definition = {"parameterType": "STRING", "description": description}
    return Input(definition, {"runtimeValue": {"constant": f"{{{{$.{what}}}}}"}})


def dag(nodes: Sequence[Node], kubeflow: Kubeflow) -> Json:
    """Builds a DagSpec."""
    waits = waits_for(nodes)
    return {"tasks": {task_name(node.step): _task(node, kubeflow, waits[task_name(node.step)]) for node in nodes}}


def waits_for(nodes: Iterable[Node]) -> dict[str, list[str]]:
    """Direct dependencies of each task, without those that follow transitively.

    The backend adds the producers of all inputs (`addImplicitDependencies` of its compiler), but KFP's local runner
    orders tasks by explicit dependencies only. Transitive ones would merely add arrows to the graph on the dashboard.
    """
    direct = {task_name(node.step): set(map(task_name, _after(node))) | set(_producers(node)) for node in nodes}
    before: dict[str, set[str]] = {}
    for task in TopologicalSorter(direct).static_order():
        waits = direct.get(task, set())
        before[task] = waits.union(*(before[each] for each in waits))
    return {
        task: sorted(each for each in waits if not any(each in before[other] for other in waits))
        for task, waits in direct.items()
    }


def _after(node: Node) -> Iterable[str]:
    return node.after if isinstance(node, Task) else ()


def _producers(node: Node) -> Iterator[str]:
    """Tasks whose outputs a node consumes."""
    inputs = [*node.parameters.values(), *(node.artifacts.values() if isinstance(node, Task) else ())]
    for each in inputs:
        made = each.source.get("taskOutputParameter") or each.source.get("taskOutputArtifact")
        if made:
            yield made["producerTask"]


def components(nodes: Iterable[Node], kubeflow: Kubeflow) -> Json:
    """ComponentSpec of each task and group."""
    found: Json = {}
    for node in nodes:
        if isinstance(node, Group):
            found |= {_component_name(node): _inputs(node) | {"dag": dag(node.tasks, kubeflow)}}
            found |= components(node.tasks, kubeflow)
        else:
            outputs = {"outputDefinitions": node.outputs} if node.outputs else {}
            found[_component_name(node)] = {"executorLabel": _executor_name(node)} | _inputs(node) | outputs
    return found


def executors(nodes: Iterable[Node], kubeflow: Kubeflow, image: str, env: Mapping[str, str]) -> Json:
    """PipelineContainerSpec of each task.

    Args:
        nodes: Tasks and groups.
        kubeflow: Determines placement.
        image: Image of all tasks.
        env: Environment variables of all tasks.
    """
    return {_executor_name(task): {"container": _container(task, kubeflow, image, env)} for task in _tasks(nodes)}


def on_kubernetes(nodes: Iterable[Node], kubeflow: Kubeflow) -> Json:
    """KubernetesExecutorConfig of each task that has one."""
    configs = {
        _executor_name(task): pod_spec.on_kubernetes(kubeflow.placement(task.kind), kubeflow.image_pull_secrets)
        for task in _tasks(nodes)
    }
    return {name: config for name, config in configs.items() if config}


def _tasks(nodes: Iterable[Node]) -> list[Task]:
    return [task for node in nodes for task in (node.tasks if isinstance(node, Group) else [node])]


def _component_name(node: Node) -> str:
    return f"comp-{task_name(node.step)}"


def _executor_name(task: Task) -> str:
    return f"exec-{task_name(task.step)}"


def _inputs(node: Node) -> Json:
    artifacts = node.artifacts if isinstance(node, Task) else {}
    # Descriptions and defaults of run parameters are defined at the root; here they would only enlarge the workflow.
    left_out = {"description", "defaultValue"}
    definitions = {
        kind: {
            name: {key: value for key, value in each.definition.items() if key not in left_out}
            for name, each in found.items()
        }
        for kind, found in (("parameters", node.parameters), ("artifacts", artifacts))
        if found
    }
    return {"inputDefinitions": definitions} if definitions else {}


def _task(node: Node, kubeflow: Kubeflow, after: Sequence[str]) -> Json:
    artifacts = node.artifacts if isinstance(node, Task) else {}
    task: Json = {
        "taskInfo": {"name": node.step},
        "componentRef": {"name": _component_name(node)},
        "inputs": {
            kind: {name: each.source for name, each in found.items()}
            for kind, found in (("parameters", node.parameters), ("artifacts", artifacts))
            if found
        },
        "cachingOptions": {},
    }
    if isinstance(node, Group):
        return task
    if after:
        task["dependentTasks"] = list(after)
    if node.cached:
        task["cachingOptions"] = {"enableCache": True}
    if node.in_any_case:
        task["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    return task | pod_spec.retry_policy(kubeflow.placement(node.kind))


def _container(task: Task, kubeflow: Kubeflow, image: str, env: Mapping[str, str]) -> Json:
    placement = kubeflow.placement(task.kind)
    placement = placement.model_copy(update={"env": {**env, **placement.env}})
    command = {"image": image, "command": ["python", "-m", task.module], "args": list(task.arguments)}
    return command | pod_spec.container(placement)
