"""The clusters of deploy/ in pods on this machine, with the commands, environment and settings of their manifests."""

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection
from time import monotonic, sleep
from typing import Any

import httpx

from tests.support.manifests import DEPLOY, containers, kustomized, named
from tests.support.pods import Pod, Pods, pods

FLINK = os.environ.get("HUBLINE_FLINK_JARS")
SPARK = os.environ.get("HUBLINE_SPARK")
"""Folder with Spark's distribution as `spark`, and the jars of Beam's job server as `beam`."""

Json = dict[str, Any]

_OPENED = (
    "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.text", "java.time",
    "java.util", "java.util.concurrent", "java.util.concurrent.atomic", "sun.nio.ch", "sun.nio.cs",
    "sun.security.action", "sun.util.calendar",
)  # fmt: skip
_ON_JAVA_17 = {"JDK_JAVA_OPTIONS": " ".join(f"--add-opens=java.base/{each}=ALL-UNNAMED" for each in _OPENED)}
"""The images have Java 11."""


@dataclass
class Cluster:
    """A running cluster."""

    network: Pods
    runner: str
    server: Pod
    """Beam's job server."""
    workers: list[Pod]
    page: str
    """URL of the REST API."""
    busy: Callable[[], bool]
    """Whether any task runs."""
    start_worker: Callable[[Pod], None]
    start_server: Callable[[Pod], None]

    @property
    def job_server(self) -> str:
        """Host and port of Beam's job server."""
        return f"{self.server.address}:8099"

    def lose_worker(self, number: int) -> None:
        """Kills everything in a worker's pod, and starts another one in its place."""
        lost = self.workers[number % len(self.workers)]
        lost.kill()
        self.start_worker(lost)

    def section(self, *folders: Path) -> str:
        """The lines of a pipeline file, with folders that workers see."""
        of_runner = {
            "FlinkRunner": f'  workers: 2\n  options: {{flink_version: "1.19", flink_master: "{self.page}"}}\n',
            "SparkRunner": "",
        }
        return (
            f"beam:\n  runner: {self.runner}\n  job_endpoint: {self.job_server}\n  environment: EXTERNAL\n"
            f"  environment_config: localhost:50000\n  min_bytes: 0\n"
            f"  volumes: [{', '.join(map(str, folders))}]\n{of_runner[self.runner]}"
        )


@contextmanager
def flink(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """The cluster of deploy/flink, which the operator would start."""
    objects = kustomized(DEPLOY / "flink")
    spec = named(objects, "FlinkDeployment", "hubline-flink")["spec"]
    with pods(folder) as network:
        manager = network.add("hubline-flink-rest")
        manager.start("jobmanager", _flink(folder, spec, manager, manager, is_worker=False), _ON_JAVA_17)
        _await(manager, "jobmanager", 8081)
        page = f"http://{manager.address}:8081"

        def busy() -> bool:
            return any(job["tasks"]["running"] for job in _get(f"{page}/jobs/overview")["jobs"])

        def start_worker(pod: Pod) -> None:
            pod.start("taskmanager", _flink(folder, spec, pod, manager, is_worker=True), _ON_JAVA_17)
            _start(pod, spec["taskManager"]["podTemplate"], "worker-pool")
            _await(pod, "worker-pool", 50000)

        def start_server(pod: Pod) -> None:
            _start(pod, named(objects, "Deployment", "hubline-flink-jobs"), "job-server")
            _await(pod, "job-server", 8099)

        found = [network.add() for _ in range(workers)]
        for pod in found:
            start_worker(pod)
        server = network.add("hubline-flink-jobs")
        start_server(server)
        until = monotonic() + 120
        while _get(f"{page}/overview")["slots-total"] < workers:
            assert monotonic() < until, found[0].log("taskmanager").read_text()
            sleep(0.2)
        yield Cluster(network, "FlinkRunner", server, found, page, busy, start_worker, start_server)


@contextmanager
def spark(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """The cluster of deploy/spark."""
    objects = kustomized(DEPLOY / "spark")
    with pods(folder) as network:
        master = network.add("hubline-spark-master")
        _start(master, named(objects, "Deployment", "hubline-spark-master"), "master")
        _await(master, "master", 7077)

        def start_worker(pod: Pod) -> None:
            for name in ("worker", "worker-pool"):
                _start(pod, named(objects, "Deployment", "hubline-spark-worker"), name)
            _await(pod, "worker-pool", 50000)

        def start_server(pod: Pod) -> None:
            _start(pod, named(objects, "Deployment", "hubline-spark-jobs"), "job-server")
            _await(pod, "job-server", 8099)

        found = [network.add() for _ in range(workers)]
        for pod in found:
            start_worker(pod)
        server = network.add("hubline-spark-jobs")
        start_server(server)
        driver = f"http://{server.address}:4040/api/v1/applications"

        def busy() -> bool:
            try:
                return any(_get(f"{driver}/{each['id']}/stages?status=active") for each in _get(driver))
            except (httpx.HTTPError, ValueError):  # while no job runs, there is no driver
                return False

        page = f"http://{master.address}:8080"
        yield Cluster(network, "SparkRunner", server, found, page, busy, start_worker, start_server)


def start_pool_without_hubline(pod: Pod, port: int) -> None:
    """Starts Beam's own worker pool beside a worker, with a Python that has everything but Hubline."""
    home = pod.folder / f"{pod.name}-python"
    venv.create(home, with_pip=False)
    (packages,) = home.glob("lib/python*/site-packages")
    # Of a path in a .pth file, Python reads no further .pth files, such as that of Hubline's editable installation.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    command = ["env", "-C", "/", f"{home}/bin/python", "-m", "apache_beam.runners.worker.worker_pool_main"]
    env = {"PATH": f"{home}/bin:{os.defpath}", "PYTHONPATH": "", "TF_USE_LEGACY_KERAS": "1"}
    pod.start("other-pool", [*command, f"--service_port={port}"], env)
    _await(pod, "other-pool", port)


def _get(url: str) -> Any:
    return httpx.get(url, timeout=60).json()


def _start(pod: Pod, manifest: Json, name: str) -> None:
    """Starts a container of a manifest, with what its image has at other places here."""
    (container,) = (each for each in containers(manifest) if each["name"] == name)
    env = {each["name"]: each.get("value", pod.address) for each in container.get("env", [])}
    command = [*(container.get("command") or _entry_point(container["image"])), *container.get("args", [])]
    places = {
        r"\$\(POD_IP\)": pod.address,
        r"^python$": sys.executable,
        "/opt/beam": f"{SPARK}/beam",
        "/opt/spark": f"{SPARK}/spark",
        r"^/work$|/staging": str(pod.folder / f"{pod.name}-work"),
    }
    for pattern, there in places.items():
        command = [re.sub(pattern, there, each) for each in command]
    # As in a container, another Python or none is on the PATH.
    path = os.defpath if name == "worker-pool" else os.environ["PATH"]
    pod.start(name, command, {"PATH": path, "PYTHONPATH": str(DEPLOY.parent), **_ON_JAVA_17, **env})


def _entry_point(image: str) -> list[str]:
    assert image.startswith("apache/beam_flink"), image
    return ["java", "-cp", f"{FLINK}/*", "org.apache.beam.runners.flink.FlinkJobServerDriver"]


def _flink(folder: Path, spec: Json, pod: Pod, manager: Pod, is_worker: bool) -> list[str]:
    """The command of Flink's process in a pod, with the memory that Flink's own scripts derive."""
    part, kind = ("taskManager", "taskmanager") if is_worker else ("jobManager", "jobmanager")
    config = spec["flinkConfiguration"] | {
        f"{kind}.memory.process.size": spec[part]["resource"]["memory"],
        "jobmanager.rpc.address": manager.address,
        "rest.address": manager.address,
        "rest.bind-address": pod.address,
        f"{kind}.bind-host": "0.0.0.0",
        "taskmanager.host": pod.address,
        "taskmanager.cpu.cores": str(spec["taskManager"]["resource"]["cpu"]),
        "io.tmp.dirs": str(folder),
    }
    conf = folder / f"{pod.name}-conf"
    conf.mkdir(exist_ok=True)
    (conf / "flink-conf.yaml").write_text("".join(f"{key}: {value}\n" for key, value in config.items()))
    java = ["java", "-cp", f"{FLINK}/*"]
    tool = "org.apache.flink.runtime.util.bash.BashJavaUtils"
    ask = [*java, tool, f"GET_{'TM' if is_worker else 'JM'}_RESOURCE_PARAMS", "--configDir", str(conf)]
    said = subprocess.run(ask, check=True, capture_output=True, text=True).stdout
    jvm, dynamic = (
        shlex.split(line.partition(":")[2])
        for line in said.splitlines()
        if line.startswith("BASH_JAVA_UTILS_EXEC_RESULT")
    )
    main = "taskexecutor.TaskManagerRunner" if is_worker else "entrypoint.StandaloneSessionClusterEntrypoint"
    return [java[0], *jvm, *java[1:], f"org.apache.flink.runtime.{main}", "--configDir", str(conf), *dynamic]


def _await(pod: Pod, container: str, port: int) -> None:
    """Waits until a container listens."""
    until = monotonic() + 120
    while True:
        try:
            with closing(create_connection((pod.address, port), timeout=1)):
                return
        except OSError:
            assert monotonic() < until, pod.log(container).read_text()
            sleep(0.2)
