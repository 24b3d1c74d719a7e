"""Simulates Kubeflow Pipelines' launcher and driver for a package: each step gets the JSON that they provide.

It follows https://github.com/kubeflow/pipelines/blob/master/backend/src/v2/component/launcher_v2.go and driver.go:
inputs and outputs are assembled from the pipeline spec, `{{$}}` is replaced by all of it, inputs are downloaded to a
local path derived from their URI, outputs are uploaded from one, file by file, and the next step gets what the
container wrote to `outputFile`.
"""

import json
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from unittest import mock

Json = dict[str, Any]

RUN_ID = "2f6c1f0e-9f6a-4a0e-8c39-0c6de2a1b7d4"
ROOT = f"minio://bucket/runs/pipeline/{RUN_ID}"
_OF_THE_RUN = {"{{$.pipeline_job_uuid}}": RUN_ID, "{{$.pipeline_job_name}}": "nightly"}


@dataclass(frozen=True)
class Version:
    """Differences between versions of KFP."""

    executor_logs: bool = False
    """Since 2.5, the launcher stores a log as an output of every container."""
    custom_path: bool = False
    """Since 2.10, artifacts may have a custom path."""


@dataclass
class Cluster:
    """Runs a package's containers in this process."""

    folder: Path
    """Contains the bucket, and the file system of the running pod."""
    version: Version
    run_container: Callable[[list[str], list[str]], int]
    """Called with command and arguments, including the launcher's JSON; returns the exit code."""
    done: dict[str, Json] = field(default_factory=dict)
    """`ExecutorOutput` of each task, with its artifacts."""
    failed: list[str] = field(default_factory=list)
    """Tasks that failed, and those that depended on them."""

    @property
    def mounted(self) -> Path:
        """Where a pod has the content of minio://."""
        return self.folder / "pod"

    def run(self, spec: Json, form: Mapping[str, Any], only: Collection[str] = ()) -> None:
        """Runs the tasks of a package, or some of them, using earlier outputs."""
        fields = spec["root"]["inputDefinitions"]["parameters"]
        self.failed = []
        self._run_dag(
            spec, spec["root"], {name: form.get(name, each["defaultValue"]) for name, each in fields.items()}, only
        )

    def _run_dag(self, spec: Json, holder: Json, parameters: Mapping[str, Any], only: Collection[str]) -> bool:
        tasks, failed = holder["dag"]["tasks"], set[str]()
        waits_for = {name: _waits_for(task) for name, task in tasks.items()}
        for name in TopologicalSorter(waits_for).static_order():
            task = tasks[name]
            in_any_case = task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
            component = spec["components"][task["componentRef"]["name"]]
            if failed.intersection(waits_for[name]) and not in_any_case:
                failed.add(name)
            elif only and name not in only:
                continue
            elif "dag" in component:
                given = {
                    key: self._parameter(source, parameters) for key, source in task["inputs"]["parameters"].items()
                }
                if not self._run_dag(spec, component, given, only):
                    failed.add(name)
            elif not self._runs(spec, name, task, parameters):
                failed.add(name)
        self.failed += sorted(failed)
        return not failed

    def stored(self, task: str, output: str) -> Path:
        """Location of an artifact in the bucket."""
        (artifact,) = self.done[task]["artifacts"][output]["artifacts"]
        return self._bucket(artifact["uri"])

    def metadata(self, task: str, output: str) -> Json:
        """Metadata that a step wrote for an artifact."""
        (artifact,) = self.done[task]["artifacts"][output]["artifacts"]
        return artifact["metadata"]

    def _runs(self, spec: Json, name: str, task: Json, parameters: Mapping[str, Any]) -> bool:
        component = spec["components"][task["componentRef"]["name"]]
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        handed = self._executor_input(name, task, component, parameters)
        shutil.rmtree(self.mounted, ignore_errors=True)
        for each in handed["inputs"]["artifacts"].values():
            uri = each["artifacts"][0]["uri"]
            _copy_files(self._bucket(uri), self._local(uri))
        for each in handed["outputs"]["artifacts"].values():
            self._local(each["artifacts"][0]["uri"]).parent.mkdir(parents=True, exist_ok=True)
        arguments = [each.replace("{{$}}", json.dumps(handed)) for each in container["args"]]
        env = {each["name"]: each["value"] for each in container.get("env", ())}
        with mock.patch.dict(os.environ, env):
            code = self.run_container(container["command"], arguments)
        if code != 0:
            return False
        output = json.loads(Path(handed["outputs"]["outputFile"]).read_text())
        for key, given in handed["outputs"]["artifacts"].items():
            told = output.get("artifacts", {}).get(key)
            merged = {**given["artifacts"][0], **(told["artifacts"][0] if told else {})}
            output.setdefault("artifacts", {})[key] = {"artifacts": [merged]}
            _copy_files(self._local(merged["uri"]), self._bucket(merged["uri"]))
        self.done[name] = output
        return True

    def _executor_input(self, name: str, task: Json, component: Json, parameters: Mapping[str, Any]) -> Json:
        inputs: Json = {"parameterValues": {}, "artifacts": {}}
        for key, source in task.get("inputs", {}).get("parameters", {}).items():
            value = self._parameter(source, parameters)
            # Numbers pass through protobuf's Struct, which has floats only.
            inputs["parameterValues"][key] = value if isinstance(value, bool) else _number(value)
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            (given,) = self.done[output["producerTask"]]["artifacts"][output["outputArtifactKey"]]["artifacts"]
            # ML Metadata loses schemas: types come back with their name only.
            from_database = {"type": {"instanceSchema": ""}, "metadata": _from_database(given["metadata"])}
            inputs["artifacts"][key] = {"artifacts": [given | from_database]}
        wanted = component.get("outputDefinitions", {})
        folder = f"{ROOT}/{name}"
        outputs: Json = {"outputFile": f"{self._local(folder)}/executor_output.json"}
        outputs["parameters"] = {
            key: {"outputFile": f"{self._local(folder)}/outputs/{key}"} for key in wanted.get("parameters", {})
        }
        types = {key: each["artifactType"] for key, each in wanted.get("artifacts", {}).items()}
        if self.version.executor_logs:
            types["executor-logs"] = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
        outputs["artifacts"] = {key: {"artifacts": [self._output(folder, key, each)]} for key, each in types.items()}
        return {"inputs": inputs, "outputs": outputs}

    def _parameter(self, source: Json, parameters: Mapping[str, Any]) -> Any:
        if "componentInputParameter" in source:
            return parameters[source["componentInputParameter"]]
        if "runtimeValue" in source:
            return _OF_THE_RUN[source["runtimeValue"]["constant"]]
        output = source["taskOutputParameter"]
        return self.done[output["producerTask"]]["parameterValues"][output["outputParameterKey"]]

    def _output(self, folder: str, key: str, artifact_type: Json) -> Json:
        uri = f"{folder}/{key}"
        own_path = {"customPath": str(self._local(uri))} if self.version.custom_path else {}
        return {"name": key, "uri": uri, "type": artifact_type, "metadata": {}, **own_path}

    def _local(self, uri: str) -> Path:
        return self.mounted / uri.removeprefix("minio://")

    def _bucket(self, uri: str) -> Path:
        return self.folder / "stored" / uri.removeprefix("minio://")


def _waits_for(task: Json) -> set[str]:
    """A task's explicit dependencies, and the producers of its inputs: `addImplicitDependencies` of the compiler."""
    sources = [source for given in task.get("inputs", {}).values() for source in given.values()]
    made = [source.get("taskOutputParameter") or source.get("taskOutputArtifact") for source in sources]
    return {*task.get("dependentTasks", ()), *(output["producerTask"] for output in made if output)}


def _copy_files(source: Path, target: Path) -> None:
    """Copies files as object stores do, which have no empty folders."""
    files = [source] if source.is_file() else [path for path in source.rglob("*") if path.is_file()]
    for path in files:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _from_database(metadata: Json) -> Json:
    """Metadata after a round trip through ML Metadata: `StructValueToMLMDValue` and `toRuntimeArtifact`."""
    wrapped = {dict: "struct", list: "list"}
    return {
        key: {wrapped[type(value)]: value} if type(value) in wrapped else _number(value)
        for key, value in metadata.items()
    }


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value
