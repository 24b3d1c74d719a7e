"""The manifests of deploy/: valid for the published schemas, consistent with each other, and of the locks' versions."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import FlinkRunnerOptions
from typer.testing import CliRunner

from hubline.pipeline.cli import app
from tests.support.compiled import IMAGE
from tests.support.locks import locked
from tests.support.manifests import DEPLOY, containers, faults, kustomized, named, read

FOLDERS = ["flink", "flink-volume", "spark", "spark-volume"]
PYTHONS = {"tfx-1.16": "3.10", "tfx-1.21": "3.13"}
PROJECT = DEPLOY.parent
PAGE = PROJECT / "docs" / "beam.md"


def beam_of(stack: str) -> str:
    return locked(f"{stack}.txt", PYTHONS[stack])["apache-beam"]


def container(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in containers(manifest) if each["name"] == name)
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_manifests_are_what_an_api_server_accepts_and_knows(folder: str) -> None:
    objects = kustomized(DEPLOY / folder)
    assert len(objects) >= 7
    assert {f"{each['kind']} {each['metadata']['name']}": faults(each) for each in objects if faults(each)} == {}
    assert {each["metadata"]["namespace"] for each in objects} == {"hubline"}
    assert all(
        each["image"] != "hubline" and ":" in each["image"]
        for one in objects
        for each in containers(one)
        if "image" in each
    )


def test_the_job_that_runs_a_file_is_what_an_api_server_accepts() -> None:
    (job,) = read(DEPLOY / "run.yaml")
    assert faults(job) == []
    pool = container(named(kustomized(DEPLOY / "flink-volume"), "FlinkDeployment", "hubline-flink"), "worker-pool")
    run = container(job, "run")
    assert run["image"] == pool["image"]
    assert run["volumeMounts"][0] in pool["volumeMounts"], "workers see the run's files at the same path"


def test_a_mistake_in_a_manifest_is_found() -> None:
    cluster = named(kustomized(DEPLOY / "flink"), "FlinkDeployment", "hubline-flink")
    cluster["spec"]["taskManager"]["resources"] = {"cpu": 1}
    cluster["spec"]["flinkVersion"] = "v1_99"
    found = "\n".join(faults(cluster))
    assert "$.spec.taskManager: Additional properties are not allowed ('resources' was unexpected)" in found
    assert "$.spec.flinkVersion: 'v1_99' is not one of" in found
    server = named(kustomized(DEPLOY / "flink"), "Deployment", "hubline-flink-jobs")
    container(server, "job-server")["port"] = 8099
    assert "'port' was unexpected" in faults(server)[0]


def test_one_version_of_beam_is_in_the_locks_the_manifests_and_the_tests() -> None:
    of_manifests = beam_of("tfx-1.16")
    flink = named(kustomized(DEPLOY / "flink"), "Deployment", "hubline-flink-jobs")
    assert container(flink, "job-server")["image"].endswith(f":{of_manifests}")
    spark = named(kustomized(DEPLOY / "spark"), "Deployment", "hubline-spark-jobs")
    assert container(spark, "job-server")["image"].endswith(f":beam-{of_manifests}")
    for name in ("spark/pom.xml", "../tests/flink/pom.xml"):
        assert f"<beam.version>{of_manifests}</beam.version>" in (DEPLOY / name).read_text()
    for name in ("spark/Dockerfile", "dataflow/Dockerfile"):
        assert f"ARG BEAM={of_manifests}\n" in (DEPLOY / name).read_text()
    pool = container(named(kustomized(DEPLOY / "flink"), "FlinkDeployment", "hubline-flink"), "worker-pool")
    assert pool["image"].endswith(":tfx-1.16-cpu"), "the image that has this Beam"
    both = f"{of_manifests} for tfx-1.16, {beam_of('tfx-1.21')} for tfx-1.21"
    for name in (
        "flink/kustomization.yaml",
        "spark/kustomization.yaml",
        "spark/Dockerfile",
        "dataflow/Dockerfile",
        "../docs/beam.md",
    ):
        assert both in (DEPLOY / name).read_text(), name
    for stack in PYTHONS:
        for variant in ("cpu", "gpu"):
            assert locked(f"{stack}-{variant}.txt", PYTHONS[stack])["apache-beam"] == beam_of(stack)
    assert "apache-beam" not in (PROJECT / "pyproject.toml").read_text(), "the wheel leaves the version to the lock"


def test_the_version_of_flink_is_one_that_both_stacks_have() -> None:
    cluster = named(kustomized(DEPLOY / "flink"), "FlinkDeployment", "hubline-flink")["spec"]
    version = cluster["flinkVersion"].removeprefix("v").replace("_", ".")
    assert version in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS
    assert cluster["image"].startswith(f"flink:{version}-")
    server = named(kustomized(DEPLOY / "flink"), "Deployment", "hubline-flink-jobs")
    assert container(server, "job-server")["image"].startswith(f"apache/beam_flink{version}_job_server:")
    assert f"<artifactId>beam-runners-flink-{version}</artifactId>" in (PROJECT / "tests/flink/pom.xml").read_text()


def test_the_parts_of_a_cluster_name_each_other() -> None:
    objects = kustomized(DEPLOY / "flink")
    server = container(named(objects, "Deployment", "hubline-flink-jobs"), "job-server")
    assert "--flink-master=hubline-flink-rest:8081" in server["args"], "the operator's Service of the cluster"
    assert named(
        objects, "ServiceAccount", named(objects, "FlinkDeployment", "hubline-flink")["spec"]["serviceAccount"]
    )
    objects = kustomized(DEPLOY / "spark")
    master = "spark://hubline-spark-master:7077"
    assert named(objects, "Service", "hubline-spark-master")["spec"]["ports"][0]["port"] == 7077
    assert f"--spark-master-url={master}" in container(objects, "job-server")["args"]
    worker = container(objects, "worker")
    assert worker["args"][-1] == master
    memory = re.search(r"spark.executor.memory=(\w+)", " ".join(container(objects, "job-server")["args"]))
    assert memory and memory[1] == worker["args"][worker["args"].index("--memory") + 1]


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a label selector matches, as an API server reads it."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    wanted = {key: [value] for key, value in selector.get("matchLabels", {}).items()}
    wanted |= {each["key"]: each["values"] for each in expressions}
    return all(labels.get(key) in values for key, values in wanted.items())


def admits(policy: dict[str, Any], source: tuple[dict[str, str] | None, dict[str, str]], port: int) -> bool:
    """Whether a policy lets a pod reach a port: one of its own namespace with these labels, or, if they are None, any
    pod of a namespace with the other labels."""
    pod, of_namespace = source
    for rule in policy["spec"]["ingress"]:
        if port in [each["port"] for each in rule["ports"]] if "ports" in rule else True:
            for peer in rule["from"]:
                if "namespaceSelector" in peer:
                    assert "podSelector" not in peer
                    if selects(peer["namespaceSelector"], of_namespace):
                        return True
                elif pod is not None and selects(peer["podSelector"], pod):
                    return True
    return False


@pytest.mark.parametrize(
    ("engine", "open_ports", "closed_ports"),
    [("flink", [8081, 8098, 8099], [6123, 6124, 50000]), ("spark", [8098, 8099], [7077, 8080, 50000])],
)
def test_only_the_namespaces_of_steps_reach_what_runs_their_code(
    engine: str, open_ports: list[int], closed_ports: list[int]
) -> None:
    objects = kustomized(DEPLOY / engine)
    policy = named(objects, "NetworkPolicy", f"hubline-{engine}")
    pods = [each["spec"]["template"]["metadata"]["labels"] for each in objects if each["kind"] == "Deployment"]
    # The operator gives the pods of a cluster these labels.
    clusters = [each["metadata"]["name"] for each in objects if each["kind"] == "FlinkDeployment"]
    pods += [{"app": name, "component": part} for name in clusters for part in ("jobmanager", "taskmanager")]
    assert len(pods) == 3 and all(selects(policy["spec"]["podSelector"], each) for each in pods)
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    stranger, steps = (None, {"kubernetes.io/metadata.name": "other"}), (None, {"hubline-engines": "allowed"})
    for port in (*open_ports, *closed_ports):
        assert not admits(policy, stranger, port) and not admits(policy, ({"app": "other"}, {}), port)
        assert all(admits(policy, (pod, {}), port) for pod in pods)
        assert admits(policy, steps, port) == (port in open_ports)
    ports = {each["port"] for each in named(objects, "Service", f"hubline-{engine}-jobs")["spec"]["ports"]}
    assert ports <= {*open_ports}
    label = r"kubectl label namespace hubline kubeflow( default)? hubline-engines=allowed.*\n *kubectl apply"
    assert re.search(rf"{label} --kustomize deploy/{engine}\n", PAGE.read_text())


@pytest.mark.parametrize("engine", ["flink", "spark"])
def test_the_lines_of_the_page_reach_the_job_server_and_the_workers(engine: str) -> None:
    objects = kustomized(DEPLOY / engine)
    ports = {
        each["name"]: each["port"] for each in named(objects, "Service", f"hubline-{engine}-jobs")["spec"]["ports"]
    }
    server = container(named(objects, "Deployment", f"hubline-{engine}-jobs"), "job-server")
    assert {f"--job-port={ports['jobs']}", f"--artifact-port={ports['artifacts']}"} <= set(server["args"])
    pool = container(objects, "worker-pool")
    port = pool["command"][-1].removeprefix("--service_port=")
    lines = f"job_endpoint: hubline-{engine}-jobs.hubline:{ports['jobs']}"
    page = PAGE.read_text()
    assert lines in page and f"environment_config: localhost:{port}" in page


PAGE_LINES = re.findall(r"^ *```yaml\n( *beam:.*?)^ *```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("lines", [each for each in PAGE_LINES if "hubline-" in each or "Dataflow" in each])
def test_the_lines_of_the_page_make_a_file_that_compiles(lines: str, tmp_path: Path) -> None:
    file = (PROJECT / "examples" / "taxi" / "pipeline.yaml").read_text()
    file = file.replace("data/*.tfrecord.gz", "gs://bucket/taxi/*.tfrecord.gz")
    file = file.replace("destination: serving", "destination: gs://bucket/serving")
    path = tmp_path / "pipeline.yaml"
    kubeflow = "kubeflow: {state: gs://bucket/state, pipeline_root: gs://bucket/runs}\n"
    path.write_text(file + textwrap.dedent(lines) + kubeflow)
    package = tmp_path / "package.yaml"
    result = CliRunner().invoke(app, ["compile", str(path), "-o", str(package), "--image", IMAGE])
    assert result.exit_code == 0, result.output
    runner = re.search(r"runner: (\w+)", lines)
    assert runner and f"--runner={runner[1]}" in package.read_text()


def test_the_page_has_lines_for_each_engine() -> None:
    for runner in ("FlinkRunner", "SparkRunner", "DataflowRunner"):
        assert any(f"runner: {runner}" in each for each in PAGE_LINES)


@pytest.mark.slow
def test_the_sidecars_command_is_there() -> None:
    command = container(kustomized(DEPLOY / "flink"), "worker-pool")["command"]
    assert command[0] == "python"
    done = subprocess.run([sys.executable, *command[1:-1], "--help"], capture_output=True, text=True, check=True)
    assert command[-1].partition("=")[0] in done.stdout
