"""Steps that share a pod: their representation in a package, and their execution.

In the pod: `python -m hubline.pipeline.kubeflow.fused_steps MEMBERS EXECUTOR_INPUT`. The steps run one after another.
Each keeps its own input and output artifacts in storage, on the dashboard and in the lineage; their property `step`
names the step that produced them.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter
from tfx.types import Artifact

from hubline.core import interruption
from hubline.core.config_base import Section
from hubline.core.garbage import collect_none_at_exit
from hubline.pipeline.kubeflow import logs
from hubline.pipeline.kubeflow.entrypoint import PROPERTIES, execute, explain
from hubline.pipeline.kubeflow.escaping import argument
from hubline.pipeline.kubeflow.executor_io import ExecutorInput, Inputs
from hubline.pipeline.kubeflow.tasks import Input, Json, Task, task_name

_STEP = "step"


class Member(Section):
    """A step that shares a pod."""

    step: str
    executor: str
    """Import path of its executor class."""
    types: dict[str, str]
    """Class of each input and output artifact, by name."""
    inside: dict[str, str]
    """For inputs produced in the same pod, the key of the output."""


_MEMBERS = TypeAdapter(tuple[Member, ...])


def join(tasks: Sequence[Task], joined: Mapping[str, Sequence[str]]) -> list[Task]:
    """Merges tasks that share a pod.

    Args:
        tasks: Tasks of the steps, in an order in which they can run.
        joined: Steps that share a pod, by the pod's name.
    """
    pods = {task.step: pod for pod, kinds in joined.items() for task in tasks if task.kind in kinds}
    done: list[Task] = []
    for task in tasks:
        pod = pods.get(task.step)
        if pod is None:
            done.append(_rewired(task, pods))
        elif pod not in {other.step for other in done}:
            done.append(_pod(pod, [_rewired(member, pods) for member in tasks if pods.get(member.step) == pod]))
    return done


def _output_key(step: str, key: str) -> str:
    return f"{task_name(step)}_{key}"


def input_key(step: str, key: str) -> str:
    return f"{task_name(step)}_takes_{key}"


def _rewired(task: Task, pods: Mapping[str, str]) -> Task:
    """Redirects inputs that come from fused steps to their pod's task."""
    by_task = {task_name(step): (step, pod) for step, pod in pods.items()}

    def source(given: Input) -> Input:
        made = given.source["taskOutputArtifact"]
        if made["producerTask"] not in by_task:
            return given
        step, pod = by_task[made["producerTask"]]
        key = _output_key(step, made["outputArtifactKey"])
        return replace(given, source={"taskOutputArtifact": {"producerTask": task_name(pod), "outputArtifactKey": key}})

    return replace(
        task,
        artifacts={name: source(given) for name, given in task.artifacts.items()},
        after=sorted({pods.get(step, step) for step in task.after}),
    )


def _pod(pod: str, tasks: Sequence[Task]) -> Task:
    members: list[Member] = []
    artifacts: dict[str, Input] = {}
    outputs: Json = {}
    for task in tasks:
        executor, types, _ = task.arguments
        inside = {}
        for name, given in task.artifacts.items():
            made = given.source["taskOutputArtifact"]
            if made["producerTask"] == task_name(pod):
                inside[name] = made["outputArtifactKey"]
            else:
                artifacts[input_key(task.step, name)] = given
        members.append(Member(step=task.step, executor=executor, types=json.loads(types), inside=inside))
        made = task.outputs.get("artifacts", {})
        outputs |= {_output_key(task.step, key): definition for key, definition in made.items()}
    return Task(
        step=pod,
        module="hubline.pipeline.kubeflow.fused_steps",
        arguments=[argument(_MEMBERS.dump_python(tuple(members), mode="json")), "{{$}}"],
        parameters={input_key(task.step, PROPERTIES): task.parameters[PROPERTIES] for task in tasks},
        artifacts=artifacts,
        outputs={"artifacts": outputs} if outputs else {},
        after=sorted({step for task in tasks for step in task.after} - {pod}),
    )


def main(arguments: list[str]) -> int:
    """Runs the steps; returns 1 if one fails and 143 after SIGTERM, with the error in the last line of the log."""
    members, launched = _MEMBERS.validate_json(arguments[0]), ExecutorInput.model_validate_json(arguments[1])
    made: dict[str, list[Artifact]] = {}
    with interruption.handled():
        for member in members:
            try:
                interruption.check()
                made |= _run(member, launched, made)
            except Exception as fault:
                return explain(fault, launched, member.step)
    launched.finish(made)
    return 0


def _run(member: Member, launched: ExecutorInput, made: Mapping[str, list[Artifact]]) -> dict[str, list[Artifact]]:
    """Runs one step; returns its outputs under the pod's keys."""

    def own(given: Mapping[str, Any], key: Any) -> dict[str, Any]:
        keys = {name: key(member.step, name) for name in member.types}
        return {name: given[pods] for name, pods in keys.items() if pods in given}

    handed = ExecutorInput(
        inputs=Inputs(
            parameterValues={PROPERTIES: launched.inputs.parameters[input_key(member.step, PROPERTIES)]},
            artifacts=own(launched.inputs.artifacts, input_key),
        ),
        outputs=launched.outputs.model_copy(update={"artifacts": own(launched.outputs.artifacts, _output_key)}),
    )
    outputs = execute(member.executor, member.types, handed, {name: made[key] for name, key in member.inside.items()})
    for artifacts in outputs.values():
        artifacts[0].set_string_custom_property(_STEP, member.step)
    return {_output_key(member.step, name): artifacts for name, artifacts in outputs.items()}


if __name__ == "__main__":
    logs.to_pod()
    collect_none_at_exit()
    sys.exit(main(sys.argv[1:]))
