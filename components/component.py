"""Makes TFX components of the nodes of a graph."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_component, base_component, executor_spec
from tfx.types import component_spec, standard_artifacts
from tfx.utils import import_utils

from hubline.components.node import Node


def components(nodes: Iterable[Node]) -> list[base_component.BaseComponent]:
    """The TFX components of nodes, connected as these are.

    Args:
        nodes: Steps, each after those that it reads or waits for.
    """
    made: dict[str, base_component.BaseComponent] = {}
    for node in nodes:
        channels = {key: made[output.step].outputs[output.key] for key, output in node.inputs.items()}
        made[node.id] = component(node, **channels)
        made[node.id].add_upstream_nodes([made[name] for name in sorted(node.upstream)])
    return list(made.values())


def component(node: Node, **inputs: types.BaseChannel) -> base_component.BaseComponent:
    """The TFX component of a node, given a channel for each of its inputs."""
    outputs = {key: types.Channel(type=_artifact_type(output.kind)) for key, output in node.outputs.items()}
    made = _component_class(node)
    return made(made.SPEC_CLASS(**inputs, **node.exec_properties, **outputs)).with_id(node.id)


def _component_class(node: Node) -> type[Any]:
    """TFX class of a step, with one input per module: on Kubeflow, an input can't hold several artifacts."""
    step = node.step
    base = base_beam_component.BaseBeamComponent if step.uses_beam else base_component.BaseComponent
    executor = executor_spec.BeamExecutorSpec if step.uses_beam else executor_spec.ExecutorClassSpec
    spec = type(
        f"{step.name}Spec",
        (component_spec.ComponentSpec,),
        {
            "PARAMETERS": {
                each: component_spec.ExecutionParameter(type=int if each in step.integers else str)
                for each in node.exec_properties
            },
            "INPUTS": {
                key: component_spec.ChannelParameter(type=_artifact_type(output.kind))
                for key, output in node.inputs.items()
            },
            "OUTPUTS": {
                key: component_spec.ChannelParameter(type=_artifact_type(kind), optional=key in step.optional_outputs)
                for key, kind in step.outputs.items()
            },
        },
    )
    members = {
        "SPEC_CLASS": spec,
        "EXECUTOR_SPEC": executor(import_utils.import_class_by_path(step.executor)),
        "__module__": __name__,  # together with the name, the execution type in ML Metadata
    }
    return type(step.name, (base,), members)


@cache
def _artifact_type(name: str) -> type[types.Artifact]:
    return import_utils.import_class_by_path(name) if "." in name else getattr(standard_artifacts, name)
