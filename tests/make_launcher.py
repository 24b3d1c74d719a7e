"""Kubeflow Pipelines' launcher and driver as far as a package sees them: each step gets the JSON that they give.

It follows https://github.com/kubeflow/pipelines/blob/master/backend/src/v2/component/launcher_v2.go and driver.go:
inputs and outputs are put together from the pipeline spec, `{{$}}` is the whole of it, artifacts are at a local path of
the same shape as their URI, and what the container wrote to `outputFile` is what the next step gets.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Version:
    """What differs between versions of KFP."""

    executor_logs: bool = False
    """Since 2.5 the launcher keeps a log as an output of every container."""
    custom_path: bool = False
    """Since 2.10 artifacts may have a path of their own."""


@dataclass
class Cluster:
    """Runs a package's containers in this process."""

    root: str
    """The pipeline root, a URL."""
    version: Version
    run_container: Callable[[list[str], list[str]], int]
    """Given the command and the arguments, with the launcher's JSON filled in, says the exit code."""
    done: dict[str, Json] = field(default_factory=dict)
    """By task, the `ExecutorOutput` of each, with its artifacts."""

    def run(self, spec: Json, form: Mapping[str, Any], runs: Callable[[str], bool] = lambda _: True) -> None:
        """Runs the tasks of a package, but those that `runs` says no to."""
        fields = spec["root"]["inputDefinitions"]["parameters"]
        parameters = {name: form.get(name, each["defaultValue"]) for name, each in fields.items()}
        tasks = spec["root"]["dag"]["tasks"]
        waits_for = {name: task.get("dependentTasks", ()) for name, task in tasks.items()}
        for name in TopologicalSorter(waits_for).static_order():
            if runs(name):
                self._run_task(spec, name, tasks[name], parameters)

    def _run_task(self, spec: Json, name: str, task: Json, parameters: Mapping[str, Any]) -> None:
        component = spec["components"][task["componentRef"]["name"]]
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        handed = self._executor_input(name, task, component, parameters)
        arguments = [each.replace("{{$}}", json.dumps(handed)) for each in container["args"]]
        assert self.run_container(container["command"], arguments) == 0, name
        output = json.loads(Path(handed["outputs"]["outputFile"]).read_text())
        for key, given in handed["outputs"].get("artifacts", {}).items():
            told = output.get("artifacts", {}).get(key)
            merged = {**given["artifacts"][0], **(told["artifacts"][0] if told else {})}
            output.setdefault("artifacts", {})[key] = {"artifacts": [merged]}
        self.done[name] = output

    def _executor_input(self, name: str, task: Json, component: Json, parameters: Mapping[str, Any]) -> Json:
        inputs: Json = {"parameterValues": {}, "artifacts": {}}
        for key, source in task.get("inputs", {}).get("parameters", {}).items():
            if form := source.get("componentInputParameter"):
                value = parameters[form]
            else:
                output = source["taskOutputParameter"]
                value = self.done[output["producerTask"]]["parameterValues"][output["outputParameterKey"]]
            # A number goes through protobuf's Struct, which has floats alone.
            inputs["parameterValues"][key] = float(value) if type(value) is int else value
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            (given,) = self.done[output["producerTask"]]["artifacts"][output["outputArtifactKey"]]["artifacts"]
            # What comes back from ML Metadata has lost its schema: its type is the name of that alone.
            inputs["artifacts"][key] = {"artifacts": [{**given, "type": {"instanceSchema": ""}}]}
        wanted = component.get("outputDefinitions", {})
        folder = f"{self.root}/{name}"
        outputs: Json = {"outputFile": f"{self._local(folder)}/executor_output.json"}
        outputs["parameters"] = {
            key: {"outputFile": f"{self._local(folder)}/outputs/{key}"} for key in wanted.get("parameters", {})
        }
        types = {key: each["artifactType"] for key, each in wanted.get("artifacts", {}).items()}
        if self.version.executor_logs:
            types["executor-logs"] = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
        outputs["artifacts"] = {key: {"artifacts": [self._output(folder, key, each)]} for key, each in types.items()}
        for each in outputs["artifacts"].values():
            Path(self._local(each["artifacts"][0]["uri"])).parent.mkdir(parents=True, exist_ok=True)
        return {"inputs": inputs, "outputs": outputs}

    def _output(self, folder: str, key: str, artifact_type: Json) -> Json:
        uri = f"{folder}/{key}"
        own_path = {"customPath": self._local(uri)} if self.version.custom_path else {}
        return {"name": key, "uri": uri, "type": artifact_type, "metadata": {}, **own_path}

    @staticmethod
    def _local(uri: str) -> str:
        from pipeline.kubeflow.launched import local

        return local(uri)
