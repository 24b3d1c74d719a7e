"""`hubline compile`: what it rejects, and why."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hubline.core.errors import UserError
from hubline.pipeline.cli import main
from hubline.pipeline.kubeflow.check import check
from hubline.pipeline.kubeflow.pipeline_spec import package
from hubline.pipeline.load import load

IMAGE = "registry.example/hubline@sha256:" + "0" * 64
FILE = """\
name: taxi-tips
data: {examples: gs://bucket/data/*.tfrecord}
features: {miles: {kind: numeric}}
label: {from: tips, kind: binary}
training: {epochs: 1, batch_size: 8}
serving: {destination: gs://bucket/serving}
"""
FLINK = "beam: {runner: FlinkRunner, job_endpoint: 'flink:8099', environment: EXTERNAL, environment_config: 'a:1'}\n"
KUBEFLOW = "kubeflow: {state: gs://bucket/state}\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return path


@pytest.fixture
def compile_(tmp_path: Path, monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Runs `hubline compile` on a text; returns exit code and output."""

    def run(text: str, *options: str) -> tuple[int, str]:
        package = tmp_path / "package.yaml"
        arguments = ["hubline", "compile", str(written(tmp_path, text)), "-o", str(package), *options]
        (tmp_path / "mine.py").write_text("def build(): ...\n")
        monkeypatch.setattr("sys.argv", arguments)
        with pytest.raises(SystemExit) as ended:
            main()
        assert not package.exists(), "there is no package where there is a mistake"
        return int(ended.value.code or 0), " ".join(capsys.readouterr().err.split())

    return run


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "no image: build one with `make image`"),
        (["--image", "registry.example/hubline:latest"], "When a tag moves"),
        (["--image", "registry.example/hubline"], "--allow-tag accepts the tag"),
    ],
)
def test_an_image_is_named_by_its_digest(compile_: Callable, options: list[str], said: str) -> None:
    code, output = compile_(FILE + KUBEFLOW, *options)
    assert code == 2 and said in output


LOCAL = FILE.replace("gs://bucket/data", "data").replace("gs://bucket/serving", "s3://bucket/serving")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FILE, ["kubeflow.state: missing: a folder for checkpoints"]),
        (
            LOCAL + KUBEFLOW,
            [
                "data/*.tfrecord: on this machine, and not on the cluster",
            ],
        ),
        (
            FILE + "kubeflow: {state: /mnt/state, steps: {Trainer: {volumes: [{claim: c, path: /mnt}]}}}\n",
            ["/mnt/state: on this machine", "(now: no volume)"],
        ),
        (
            FILE + KUBEFLOW + FLINK,
            ["beam.runner: workers of FlinkRunner are not in the step's pod", "kubeflow.pipeline_root"],
        ),
        (
            FILE
            + "kubeflow: {state: /mnt/s, pipeline_root: 'gs://b/r', every_step: {volumes: [{claim: c, path: /mnt}]}}\n"
            + FLINK,
            ["7: kubeflow.state: /mnt/s: workers of flink:8099 don't see this machine's files; use a bucket"],
        ),
        (
            FILE + KUBEFLOW + FLINK.replace("flink:8099", "localhost:8099").replace("EXTERNAL", "LOOPBACK"),
            [
                "8: beam.environment: LOOPBACK is for one machine; on a cluster, use EXTERNAL or DOCKER",
                "8: beam.job_endpoint: localhost:8099: nothing listens there in a step's pod",
            ],
        ),
        (
            FILE + "kubeflow: {state: gs://b/s, join: {Data: [SchemaGen], More: [SchemaGen, Trainer]}}\n",
            ["Trainer needs its own pod"],
        ),
        (FILE + "kubeflow: {state: gs://b/s, join: {A: [SchemaGen], B: [SchemaGen]}}\n", ["SchemaGen is in two pods"]),
        (
            FILE.replace("training: {", "training: {devices: {count: 2}, ")
            + "kubeflow: {state: gs://b/s, steps: {Trainer: {gpus: 1}}}\n",
            ["training.devices.count: the Trainer's pod has 1 GPU; set kubeflow.steps: {Trainer: {gpus: 2}}"],
        ),
        (FILE + "kubeflow: {state: gs://b/s, join: {Pusher: [SchemaGen]}}\n", ["Pusher is the name of a step"]),
        (
            FILE + "kubeflow: {state: gs://b/s, join: {A: [SchemaGen]}, steps: {SchemaGen: {cpu: '1'}}}\n",
            ["SchemaGen shares the pod A; configure that pod instead"],
        ),
        (
            "hubs:\n  photos: {handle: 'gs://b/m', inputs: {x: photo}}\n"
            "  Photos: {handle: 'gs://b/m', inputs: {x: photo}}\n"
            + FILE.replace("features: {", "features: {photo: {kind: image, size: [8, 8]}, ")
            + KUBEFLOW,
            ["on a cluster 'photos' and 'Photos' are one name, photos"],
        ),
        (FILE + "kubeflow: {state: gs://b/s, alert: {webhook: alerts}}\n", ["'alerts' is not a URL"]),
        (
            FILE.replace("*.tfrecord", "").replace(
                "data/}", "data/, split: {train: train-*, validation: 'gs://b/v/*', test: /data/test/*}}"
            )
            + KUBEFLOW,
            ["data.split.test: /data/test/*: on this machine, and not on the cluster"],
        ),
        (
            FILE.replace("{miles: {kind: numeric}}", "{t: {kind: text}}")
            + "backbones: {b: {kind: builder, call: 'mine:build', inputs: {x: t}}}\n"
            + KUBEFLOW,
            ["backbones.b", ": on this machine, and not on the cluster"],
        ),
        (
            FILE.replace("serving}", "serving, kserve: {name: a, namespace: b, models: /mnt/m, storage_uri: pvc://m}}")
            + KUBEFLOW,
            ["serving.kserve.models: /mnt/m: on this machine, and not on the cluster"],
        ),
    ],
)
def test_what_cannot_work_on_a_cluster_is_said_all_at_once(compile_: Callable, text: str, said: list[str]) -> None:
    code, output = compile_(text, "--image", IMAGE)
    assert code == 2 and all(each in output for each in said), output


@pytest.mark.parametrize(
    ("webhook", "warned"), [("https://hooks.example/T0", True), ("{secret: alerts, key: url}", False)]
)
def test_a_url_as_a_webhook_is_warned_of(tmp_path: Path, monkeypatch, capsys, webhook: str, warned: bool) -> None:
    text = FILE + f"kubeflow: {{state: gs://b/s, alert: {{webhook: {webhook}}}}}\n"
    monkeypatch.setattr("sys.argv", ["hubline", "check", str(written(tmp_path, text))])
    with pytest.raises(SystemExit) as ended:
        main()
    said = " ".join(capsys.readouterr().err.split())
    assert ended.value.code in (0, None) and ("write webhook: {secret: alerts, key: url}" in said) == warned


@pytest.fixture(scope="module")
def compiled(tmp_path_factory) -> tuple[dict[str, Any], dict[str, Any]]:
    file, _ = load(
        written(
            tmp_path_factory.mktemp("file"),
            FILE + "kubeflow: {state: gs://b/s, every_step: {cpu: '1', "
            "node_selector: {a: b}}, alert: {webhook: 'https://alerts.example'}}\n",
        )
    )
    return package(file, IMAGE)


@pytest.mark.slow
def test_a_package_passes_its_own_check_and_yaml(compiled: tuple[dict, dict], tmp_path: Path) -> None:
    check(*compiled)
    path = tmp_path / "package.yaml"
    YAML(typ="safe", pure=True).dump_all(compiled, path)
    assert tuple(YAML(typ="safe", pure=True).load_all(path.read_text())) == compiled


def steps(spec: dict[str, Any]) -> dict[str, Any]:
    return spec["components"]["comp-steps"]["dag"]["tasks"]


@pytest.mark.parametrize(
    ("settings", "is_needed"),
    [("missing: 0, normalize: z_score", True), ("missing: 0, normalize: log1p", True), ("missing: 0", False)],
)
def test_embedder_gets_the_transform_graph_for_numbers_that_need_statistics(
    tmp_path: Path, settings: str, is_needed: bool
) -> None:
    text = FILE.replace("{kind: numeric}", f"{{kind: numeric, {settings}}}") + KUBEFLOW
    hubs = "hubs: {net: {handle: gs://bucket/net, inputs: {x: miles}}}\n"
    found = package(load(written(tmp_path, text + hubs))[0], IMAGE)
    check(*found)
    embedder = found[0]["root"]["dag"]["tasks"]["embedder"]["inputs"]["artifacts"]
    assert ("transform_graph" in embedder) == is_needed
    if is_needed:
        assert embedder["transform_graph"]["taskOutputArtifact"]["producerTask"] == "transform"


def test_a_published_module_goes_from_exporter_to_pusher(tmp_path: Path) -> None:
    text = FILE + (
        "hubs: {net: {handle: gs://bucket/net, inputs: {x: miles}}}\nmodel: {fine_tune: {net: {}}}\n"
        "export: {frozen_graph: true, publish: {module: net, to: gs://bucket/modules}}\n"
    )
    found = package(load(written(tmp_path, text + KUBEFLOW))[0], IMAGE)
    check(*found)
    producers = {
        (task, name): source["taskOutputArtifact"]["producerTask"]
        for task, given in found[0]["root"]["dag"]["tasks"].items()
        for name, source in given.get("inputs", {}).get("artifacts", {}).items()
    }
    assert producers["exporter", "model"] == "trainer"
    assert (
        producers["evaluator", "model"] == producers["pusher", "model"] == producers["pusher", "module"] == "exporter"
    )


def test_the_tuner_reads_what_the_trainer_reads_and_gives_it_the_best_values(tmp_path: Path) -> None:
    tune = (
        "hubs: {net: {handle: gs://bucket/net, inputs: {x: miles}}}\n"
        "tune: {training.optimizer.learning_rate: {log: [0.001, 0.1]}, trials: 7, objective: val_auc}\n"
        "kubeflow: {state: gs://bucket/state, steps: {Trainer: {gpus: 2, memory: 8Gi}, Tuner: {memory: 16Gi}}}\n"
    )
    spec, platforms = package(load(written(tmp_path, FILE + tune))[0], IMAGE)
    check(spec, platforms)
    tasks = spec["root"]["dag"]["tasks"]

    def sources(task: str) -> dict[str, tuple[str, str]]:
        given = tasks[task]["inputs"]["artifacts"]
        outputs = {name: source["taskOutputArtifact"] for name, source in given.items()}
        return {name: (output["producerTask"], output["outputArtifactKey"]) for name, output in outputs.items()}

    best = ("tuner", "best_hyperparameters")
    assert sources("trainer") == sources("tuner") | {"hyperparameters": best}
    assert {"examples", "transform_graph", "hub_net"} <= sources("tuner").keys()
    assert sources("dashboard")["tuner_results"] == ("tuner", "tuner_results")
    component = spec["components"]["comp-tuner"]
    outputs = component["outputDefinitions"]["artifacts"]
    assert outputs.keys() == {"best_hyperparameters", "tuner_results"}
    properties = tasks["tuner"]["inputs"]["parameters"]["properties"]["taskOutputParameter"]
    assert properties == {"producerTask": "pin", "outputParameterKey": "tuner"}
    assert "tuner" in spec["components"]["comp-pin"]["outputDefinitions"]["parameters"]
    container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
    assert container["args"][0] == "hubline.components.tuner.executor.Executor"
    resources = container["resources"]
    assert resources["resourceMemoryLimit"] == "16Gi" and resources["accelerator"]["resourceCount"] == "2"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda spec: spec["root"].update(dagg={}), "dagg"),
        (lambda spec: spec.update(schemaVersion=2), "schemaVersion"),
        (lambda spec: spec["deploymentSpec"]["executors"].pop("exec-trainer"), "has no executor exec-trainer"),
        (lambda spec: spec["components"].pop("comp-trainer"), "the task trainer has no component comp-trainer"),
        (lambda spec: steps(spec)["trainer"]["inputs"]["artifacts"].pop("rows"), "nothing is given for the input rows"),
        (lambda spec: steps(spec)["pin"].update(dependentTasks=["pusher"]), "tasks wait for each other"),
        (lambda spec: steps(spec).update(Pusher=steps(spec).pop("pusher")), "'Pusher' cannot be the name of a task"),
        (
            lambda spec: steps(spec)["pin"]["inputs"]["parameters"]["epochs"].update(componentInputParameter="epoch"),
            "there is no parameter epoch",
        ),
        (
            lambda spec: spec["components"]["comp-embedder"]["outputDefinitions"]["artifacts"].pop("rows"),
            "embedder gives no rows",
        ),
    ],
)
def test_what_the_backend_would_refuse_is_found_here(
    compiled: tuple[dict, dict], spoil: Callable[[dict[str, Any]], Any], said: str
) -> None:
    spec, platform = deepcopy(compiled)
    spoil(spec)
    with pytest.raises(UserError, match="would refuse the package") as caught:
        check(spec, platform)
    assert said in str(caught.value)


def test_texts_that_argo_or_kubernetes_would_fill_in_are_refused(compile_: Callable) -> None:
    env = "kubeflow: {state: gs://bucket/state, steps: {Trainer: {env: {WHO: '{{workflow.name}}'}}}}\n"
    code, output = compile_(FILE + env, "--image", IMAGE)
    assert code == 2 and "exec-trainer.container.env[0].value: Argo fills in what begins with {{" in output
    code, output = compile_(FILE.replace("data/*", "$(HOME)/*") + KUBEFLOW, "--image", IMAGE)
    assert code == 2 and "data_examples: Kubernetes fills in what begins with $(" in output


def test_a_placement_of_what_is_not_there_is_found(compiled: tuple[dict, dict]) -> None:
    spec, platform = deepcopy(compiled)
    platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-no"] = {}
    with pytest.raises(UserError, match="'exec-no', which is no executor"):
        check(spec, platform)
