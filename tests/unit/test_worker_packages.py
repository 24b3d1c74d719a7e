"""Packages of pipeline files with several workers: the Trainer's step, its workers' pods, and errors in the file."""

import json
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as kubernetes
from tfx.utils.import_utils import import_class_by_path

from hubline.components.spread.executor import StageExecutor
from hubline.components.steps import STEPS
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.kubeflow.check import check
from hubline.pipeline.kubeflow.parameter_definitions import InvalidParameters, dumped, with_changes
from hubline.pipeline.kubeflow.pipeline_spec import package
from hubline.pipeline.kubeflow.placement import Placement
from hubline.pipeline.kubeflow.workers import pod, settings
from hubline.pipeline.load import load

IMAGE = "registry.example/hubline@sha256:" + "1" * 64
FILE = """\
name: taxi
data: {examples: gs://bucket/data/*}
features: {miles: {kind: numeric}}
label: {from: tips, kind: binary}
training: {epochs: 1, batch_size: 8, workers: 4}
serving: {destination: gs://bucket/serving}
kubeflow:
  state: gs://bucket/state
  image_pull_secrets: [registry]
  training: {kind: job, labels: {kueue.x-k8s.io/queue-name: gpus}}
  every_step: {memory: 2Gi, env: {TIER: $(HOME)$$}}
  steps:
    Trainer:
      {gpus: 2, memory: 32Gi, cpu: "8", node_selector: {pool: gpu}, tolerations: [{key: gpu, operator: Exists}],
       affinity: [{match: [{key: zone, values: [a]}]}], shared_memory: 8Gi, retries: {count: 2}, timeout_seconds: 900,
       secrets: [{name: aws, env: {AWS_ACCESS_KEY_ID: key}}]}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(text)
    return path


def of_trainer(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Container and Kubernetes settings of the Trainer's step."""
    return of_step(path, "trainer")


def of_step(path: Path, task: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Container and Kubernetes settings of a step."""
    spec, platform = package(load(path)[0], IMAGE)
    check(spec, platform)
    placed = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][f"exec-{task}"]
    return spec["deploymentSpec"]["executors"][f"exec-{task}"]["container"], placed


def workers_of(container: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> settings.WorkerPods:
    """What the step's pod reads from its environment."""
    for each in container["env"]:
        # As Kubernetes does with variables that it knows nothing of.
        monkeypatch.setenv(each["name"], each["value"].replace("$$", "$"))
    return settings.given()


def test_the_trainers_resources_are_those_of_each_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, FILE)
    container, placed = of_trainer(path)
    pods = workers_of(container, monkeypatch)
    assert pods.placement == load(path)[0].kubeflow.placement("Trainer")
    assert (pods.image, pods.image_pull_secrets, pods.kind) == (IMAGE, ("registry",), "job")
    assert pods.job.labels == {"kueue.x-k8s.io/queue-name": "gpus"}
    assert container["args"][0] == "hubline.pipeline.kubeflow.workers.executor.Executor"
    assert container["resources"] == {"resourceMemoryLimit": "2Gi", "memoryLimit": 2 * 1024**3 / 1e9}
    assert "secretAsEnv" in placed and "activeDeadlineSeconds" in placed, "the step's own"
    assert not {"nodeSelector", "tolerations", "nodeAffinity", "emptyDirMounts"} & placed.keys()


def test_the_tuner_keeps_the_trainers_resources(tmp_path: Path) -> None:
    tune = "tune: {training.optimizer.learning_rate: {log: [1.0e-4, 1.0e-2]}}\nserving:"
    spec, _ = package(load(written(tmp_path, FILE.replace("serving:", tune)))[0], IMAGE)
    tuner = spec["deploymentSpec"]["executors"]["exec-tuner"]["container"]
    assert tuner["resources"]["resourceMemoryLimit"] == "32Gi"
    assert tuner["resources"]["accelerator"]["resourceCount"] == "2"
    assert not [each for each in tuner["env"] if each["name"] == "HUBLINE_WORKER_PODS"]


SPREAD = FILE.replace(", workers: 4", "").replace(
    "  steps:\n",
    """\
  workers: {restarts: 1, labels: {kueue.x-k8s.io/queue-name: gpus}}
  steps:
    Embedder: {workers: 4, gpus: 1, memory: 16Gi, node_selector: {pool: gpu}}
""",
)


def test_the_resources_of_a_step_with_workers_are_those_of_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, SPREAD)
    container, placed = of_step(path, "embedder")
    pods = workers_of(container, monkeypatch)
    assert pods.placement == load(path)[0].kubeflow.placement("Embedder")
    assert (pods.step, pods.kind, pods.placement.workers, pods.job.restarts) == ("Embedder", "shards", 4, 1)
    assert (pods.state, pods.workers_key) == ("gs://bucket/state", "kubeflow.steps.Embedder.workers")
    assert container["resources"] == {"resourceMemoryLimit": "16Gi", "memoryLimit": 16 * 1024**3 / 1e9}, "without GPU"
    assert "nodeSelector" not in placed
    trainer, _ = of_step(path, "trainer")
    assert "HUBLINE_WORKER_PODS" not in {each["name"] for each in trainer["env"]}


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_number_of_pods_is_in_no_cache_key(tmp_path: Path, workers: str) -> None:
    """The backend's key has image, command, arguments and inputs, and no environment."""

    def key(text: str) -> Any:
        spec, _ = package(load(written(tmp_path, text))[0], IMAGE)
        container = spec["deploymentSpec"]["executors"]["exec-embedder"]["container"]
        return container["command"], container["args"], spec["root"]["dag"]["tasks"]["embedder"]["inputs"]

    assert key(SPREAD) == key(SPREAD.replace("workers: 4", f"workers: {workers}"))


def test_the_steps_with_a_stage_are_those_that_are_declared() -> None:
    spread = [step for step in STEPS if issubclass(import_class_by_path(step.executor), StageExecutor)]
    assert spread == [step for step in STEPS if step.is_spread]


def test_one_pod_is_the_steps_own(tmp_path: Path) -> None:
    container, placed = of_step(written(tmp_path, SPREAD.replace("workers: 4, ", "")), "embedder")
    assert "HUBLINE_WORKER_PODS" not in {each["name"] for each in container["env"]}
    assert placed["nodeSelector"] == {"labels": {"pool": "gpu"}}
    assert container["resources"]["accelerator"]["resourceCount"] == "1"


@pytest.mark.parametrize(
    ("before", "after", "line", "key", "message"),
    [
        (
            "Embedder:",
            "SchemaGen:",
            14,
            "kubeflow.steps.SchemaGen.workers",
            "only steps .*, Embedder, Evaluator, Predictor",
        ),
        ("Embedder:", "Trainer:", 14, "kubeflow.steps.Trainer.workers", "the Trainer's are training.workers"),
        ("workers: 4", "workers: 0", 14, "kubeflow.steps.Embedder.workers", "greater than or equal to 1"),
        ("memory: 2Gi,", "workers: 2,", 11, "kubeflow.every_step.workers", "set them in kubeflow.steps"),
        ("  state: gs://bucket/state\n", "", 7, "kubeflow.state", "missing: a folder"),
    ],
)
def test_pods_that_cannot_be_are_told_at_their_line(
    tmp_path: Path, before: str, after: str, line: int, key: str, message: str
) -> None:
    from hubline.pipeline.kubeflow.compile import compile_file

    text = SPREAD.replace(before, after)
    if after == "Trainer:":
        text = text[: text.index("    Trainer:\n")]
    if after in ("SchemaGen:", "Trainer:"):
        text = text.replace("gpus: 1, ", "", 1)
    with pytest.raises(PipelineFileError, match=message) as caught:
        compile_file(*load(written(tmp_path, text)), IMAGE, False, tmp_path / "package.yaml")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.line, diagnostic.key) == (line, key), diagnostic


def test_moving_the_workers_changes_no_cache_key(tmp_path: Path) -> None:
    """The backend's key has image, command, arguments and inputs, and no environment."""

    def key(text: str) -> Any:
        spec, _ = package(load(written(tmp_path, text))[0], IMAGE)
        container = spec["deploymentSpec"]["executors"]["exec-trainer"]["container"]
        return container["command"], container["args"], spec["root"]["dag"]["tasks"]["trainer"]["inputs"]

    assert key(FILE) == key(FILE.replace("gpus: 2", "gpus: 1").replace("kind: job", "kind: tfjob"))


def test_one_worker_is_the_step_itself(tmp_path: Path) -> None:
    container, placed = of_trainer(written(tmp_path, FILE.replace(", workers: 4", "")))
    assert container["args"][0] == "hubline.components.trainer.executor.Executor"
    assert container["resources"]["accelerator"]["resourceCount"] == "2"
    assert placed["nodeSelector"] == {"labels": {"pool": "gpu"}}
    assert "HUBLINE_WORKER_PODS" not in {each["name"] for each in container["env"]}


def test_a_run_cannot_change_the_number_of_workers(tmp_path: Path) -> None:
    file, _ = load(written(tmp_path, FILE))
    for given in ({"training.workers": 1}, {"training": {"epochs": 1, "batch_size": 8}}):
        with pytest.raises(InvalidParameters, match=r"is fixed when the file is compiled, .*now: 4"):
            with_changes(dumped(file), {"overrides": given})
    assert with_changes(dumped(file), {"overrides": {"training.seed": 3}}).training.workers == 4


@pytest.mark.parametrize(
    ("before", "after", "line", "key", "message"),
    [
        ("kind: job", "kind: jobset", 10, "kubeflow.training.kind", "tfjob, job"),
        ("workers: 4", "workers: 0", 5, "training.workers", "greater than or equal to 1"),
        (
            "workers: 4",
            "workers: 9",
            5,
            "training.workers",
            "split evenly among the workers, and 9 doesn't divide it; use `workers: 8`",
        ),
        ("TIER:", "TF_CONFIG:", 11, "kubeflow.every_step.env", "TF_CONFIG is set for each worker; .*training.workers"),
        ("kind: job", "kind: job, restarts: -1", 10, "kubeflow.training.restarts", "greater than or equal to 0"),
        ("  state: gs://bucket/state\n", "", 7, "kubeflow.state", "missing: a folder for checkpoints"),
    ],
)
def test_what_cannot_work_is_told_at_its_line(
    tmp_path: Path, before: str, after: str, line: int, key: str, message: str
) -> None:
    from hubline.pipeline.kubeflow.compile import compile_file

    with pytest.raises(PipelineFileError, match=message) as caught:
        compile_file(*load(written(tmp_path, FILE.replace(before, after))), IMAGE, False, tmp_path / "package.yaml")
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.line, diagnostic.key.startswith(key)) == (line, True), diagnostic


OWN_POD = {
    "metadata": {"name": "own", "uid": "1"},
    "spec": {
        "serviceAccountName": "runner",
        "securityContext": {"fsGroup": 100},
        "containers": [
            {"name": "wait", "securityContext": {"runAsUser": 1}},
            {"name": "main", "securityContext": {"runAsNonRoot": True}},
        ],
    },
}


def template(**placement: Any) -> dict[str, Any]:
    values = {"image": IMAGE, "placement": placement, "image_pull_secrets": ["registry"]}
    return pod.template(
        settings.WorkerPods.model_validate(values), ["worker", "a", "b"], ["/minio"], OWN_POD, {"x": "y"}
    )


def test_a_worker_has_every_setting_of_its_placement() -> None:
    """Each setting of a placement, and where the Kubernetes API has it."""
    found = template(
        cpu="8", memory="32Gi", cpu_request="2", memory_request="8Gi", ephemeral_storage="100Gi", gpus=2,
        gpu_type="amd.com/gpu", node_selector={"pool": "gpu"}, shared_memory="8Gi", env={"A": "$(B)"},
        tolerations=[{"key": "gpu", "value": "yes", "effect": "NoExecute", "toleration_seconds": 0}],
        affinity=[
            {"match": [{"key": "zone", "values": ["a"]}]},
            {"match": [{"key": "ssd", "operator": "Exists"}], "weight": 5},
        ],
        volumes=[{"claim": "work", "path": "/mnt/work", "sub_path": "taxi"}],
        secrets=[{"name": "aws", "env": {"KEY": "key"}, "path": "/secrets", "optional": True}],
        config_maps=[{"name": "settings", "env": {"MODE": "mode"}, "path": "/settings"}],
        image_pull_policy="Always", timeout_seconds=60, retries={"count": 1},
    )  # fmt: skip
    spec = found["spec"]
    (container,) = spec["containers"]
    assert container["name"] == "tensorflow", "the operator sets TF_CONFIG in this container"
    assert container["command"] + container["args"] == ["python", "-m", "worker", "a", "b"]
    assert container["resources"] == {
        "limits": {"cpu": "8", "memory": "32Gi", "amd.com/gpu": "2"},
        "requests": {"cpu": "2", "memory": "8Gi"},
    }
    assert container["env"] == [
        {"name": "A", "value": "$(B)"},
        {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "aws", "key": "key", "optional": True}}},
        {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}},
    ]
    sources = {each["name"]: each for each in spec["volumes"]}
    mounted = {each["mountPath"]: (each.get("subPath"), sources[each["name"]]) for each in container["volumeMounts"]}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Gi"}}}
    assert {
        path: (sub, {k: v for k, v in source.items() if k != "name"}) for path, (sub, source) in mounted.items()
    } == {
        "/mnt/work": ("taxi", {"persistentVolumeClaim": {"claimName": "work"}}),
        "/secrets": (None, {"secret": {"secretName": "aws", "optional": True}}),
        "/settings": (None, {"configMap": {"name": "settings"}}),
        "/dev/shm": (None, {"emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}),
        "/tmp": (None, {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}),
        "/minio": (None, {"emptyDir": {}}),
    }
    assert spec["tolerations"] == [
        {"operator": "Equal", "key": "gpu", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 0}
    ]
    assert spec["affinity"] == {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 5, "preference": {"matchExpressions": [{"key": "ssd", "operator": "Exists"}]}}
            ],
        }
    }
    assert (spec["nodeSelector"], spec["serviceAccountName"]) == ({"pool": "gpu"}, "runner")
    assert (spec["securityContext"], container["securityContext"]) == ({"fsGroup": 100}, {"runAsNonRoot": True})
    assert (spec["imagePullSecrets"], container["imagePullPolicy"]) == ([{"name": "registry"}], "Always")
    assert "restartPolicy" not in spec, "Training Operator warns about one"


def test_a_worker_of_no_settings_has_only_fields_that_kubernetes_knows() -> None:
    found = template()
    (container,) = found["spec"]["containers"]
    known = {*kubernetes.V1Container.attribute_map.values()}
    assert container.keys() <= known
    assert found["spec"].keys() <= {*kubernetes.V1PodSpec.attribute_map.values()}
    assert "resources" not in container
    assert Placement.model_fields.keys() == {
        "workers", "cpu", "memory", "cpu_request", "memory_request", "ephemeral_storage", "gpus", "gpu_type",
        "node_selector", "tolerations", "affinity", "volumes", "secrets", "config_maps", "shared_memory", "env",
        "retries", "timeout_seconds", "image_pull_policy",
    }, "a new setting of a placement needs its place in a worker's pod, too"  # fmt: skip


def test_the_package_gives_the_environment_escaped(tmp_path: Path) -> None:
    container, _ = of_trainer(written(tmp_path, FILE))
    (text,) = [each["value"] for each in container["env"] if each["name"] == "HUBLINE_WORKER_PODS"]
    assert "$" not in text and "{{" not in text
    assert json.loads(text)["placement"]["env"] == {"TIER": "$(HOME)$$"}
