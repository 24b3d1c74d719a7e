"""A compiled package whose Embedder and Trainer have two workers each: processes that a fake kubelet starts for pods
of an indexed Job and of a TFJob."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.core import interruption
from hubline.pipeline.kubeflow import executor_io
from hubline.pipeline.kubeflow.workers import job_run
from hubline.trainer import devices
from tests.support import example_data, hub_modules, shard_jobs
from tests.support.compiled import compiled, in_this_process
from tests.support.launcher import Cluster, Version
from tests.support.ports import free_port
from tests.support.training_cluster import OWN, TrainingCluster

pytestmark = pytest.mark.slow

PIPELINE = """\
name: tiny
data: {examples: data}
features: {x: {kind: numeric}, pair: {kind: numeric, length: 2}}
label: {from: y, kind: regression}
hubs: {turn: {handle: turn, inputs: {inputs: pair}}}
model: {head: {hidden: [4]}}
training: {epochs: 2, batch_size: 8, workers: 2}
serving: {destination: serving, check: {enabled: false}}
kubeflow:
  state: FOLDER/state
  every_step: {volumes: [{claim: work, path: FOLDER}]}
  steps: {Embedder: {workers: 2}}
"""


class Processes:
    """A kubelet whose containers are processes of this machine."""

    def __init__(self, folder: Path, mounted: Path) -> None:
        """Logs are written to `folder`. `mounted` has the artifacts of the step's pod, which workers don't see."""
        self.folder, self._mounted = folder, mounted
        self._jobs: set[str] = set()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, int] = {}

    def start(self, pod: dict) -> None:
        (container,) = pod["spec"]["containers"]
        env = {each["name"]: self._on_this_machine(each["value"]) for each in container["env"]}
        job = pod["metadata"]["labels"]["hubline-job"]
        if job not in self._jobs:
            self._jobs.add(job)
            self._mounted.rename(self.folder / f"step-of-{job}")
        log = self._log(pod).open("wb")
        command = [sys.executable, *container["command"][1:], *container["args"]]
        uid = pod["metadata"]["uid"]
        self.running[uid] = subprocess.Popen(command, env={**os.environ, **env}, stdout=log, stderr=subprocess.STDOUT)
        if pod["metadata"]["name"].endswith("-0-worker-1") or _is_first_of_index_1(pod):
            self.running[uid].kill()

    def terminated(self, pod: dict) -> dict | None:
        code = self.running[pod["metadata"]["uid"]].poll()
        if code is None:
            return None
        return {
            "exitCode": interruption.shell_code(code),
            "reason": "Error",
            "message": self._log(pod).read_text()[-2000:],
            "finishedAt": _now(),
        }

    def log(self, pod: dict) -> Iterator[str]:
        process = self.running[pod["metadata"]["uid"]]
        with self._log(pod).open(errors="replace") as file:
            while True:
                is_over = process.poll() is not None
                yield from (line.rstrip("\n") for line in file)
                if is_over:
                    return
                time.sleep(0.05)

    def kill(self, pod: dict) -> None:
        process = self.running[pod["metadata"]["uid"]]
        process.kill()
        process.wait()

    def _log(self, pod: dict) -> Path:
        return self.folder / f"{pod['metadata']['name']}.log"

    def _on_this_machine(self, value: str) -> str:
        """The addresses of pods as ports of this machine."""
        if not value.startswith('{"cluster"'):
            return value
        config = json.loads(value)
        for host in config["cluster"]["worker"]:
            self.ports.setdefault(host, free_port())
        config["cluster"]["worker"] = [f"127.0.0.1:{self.ports[host]}" for host in config["cluster"]["worker"]]
        return json.dumps(config)


def _is_first_of_index_1(pod: dict) -> bool:
    """Whether this is the first pod of worker 1 in a job over shards."""
    annotations = pod["metadata"]["annotations"]
    return (annotations.get(shard_jobs.INDEX), annotations.get(shard_jobs.FAILURES)) == ("1", "0")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def record(x: float) -> bytes:
    return example_data.record(x=x, y=2 * x - 1, pair=example_data.feature(x, -x))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline file on a volume, which here is its own folder, and its data: y is 2 x - 1."""
    folder = tmp_path_factory.mktemp("project")
    values = np.random.default_rng(0).normal(size=120)
    records = [record(float(x)) for x in values]
    for number in range(3):
        example_data.write_tfrecord(folder / "data" / f"{number}.tfrecord", records[number::3])
    hub_modules.module(folder / "turn", tf.TensorSpec([None, 2], tf.float32), lambda pairs: pairs[:, ::-1] * 3.0)
    path = folder / "pipeline.yaml"
    path.write_text(PIPELINE.replace("FOLDER", str(folder)))
    return path


@pytest.fixture(scope="module")
def ran(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, TrainingCluster]]:
    """After a run up to the Trainer, in which a worker is killed at its first start."""
    folder = tmp_path_factory.mktemp("kfp")
    cluster = Cluster(folder, Version(), in_this_process)
    kubelet = Processes(tmp_path_factory.mktemp("logs"), cluster.mounted)
    kubernetes = TrainingCluster(kubelet)
    with pytest.MonkeyPatch.context() as patch, kubernetes.serving(folder) as kubeconfig:
        patch.setattr(executor_io, "MOUNTED", {"minio://": f"{cluster.mounted}/"})
        patch.setattr(executor_io, "remote", lambda path: path.replace(str(cluster.mounted), str(folder / "stored"), 1))
        patch.setattr(job_run, "PAUSE_SECONDS", 0.1)
        patch.setenv("KUBECONFIG", str(kubeconfig))
        patch.setenv("KFP_POD_NAME", OWN)
        patch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
        with pytest.MonkeyPatch.context() as of_the_step:
            of_the_step.setattr(devices, "check", _refuse)
            cluster.run(compiled(project), {}, UP_TO_TRAINER)
        assert not cluster.failed
        yield cluster, kubernetes


def _refuse(*_: object) -> None:
    raise AssertionError("the step's pod trains nothing, and has none of the workers' GPUs")


UP_TO_TRAINER = ("pin", "hubmodule-turn", "data", "datachecks", "transform", "embedder", "trainer")


def rows(cluster: Cluster) -> dict[str, bytes]:
    """Content of each file with rows."""
    folder = cluster.stored("embedder", "rows")
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("Split-*/*"))}


@pytest.mark.both_stacks
def test_two_workers_of_an_indexed_job_embed_what_one_process_embeds(
    project: Path, ran: tuple[Cluster, TrainingCluster]
) -> None:
    cluster, kubernetes = ran
    of_two = rows(cluster)
    (job,) = [each for each in kubernetes.created if each["kind"] == "Job"]
    assert job["spec"]["completions"] == 2 and len(of_two) == 9, "3 shards of each split"
    pods = {name for name in kubernetes.followed if name.startswith(job["metadata"]["name"])}
    assert len(pods) == 3, "worker 1 was killed, and replaced"
    assert not list((project.parent / "state" / "workers").iterdir()), "nothing is left in the state"

    cluster.run(compiled(project), {}, ("pin", "embedder"))
    assert not cluster.failed and rows(cluster) == of_two
    assert [each for each in kubernetes.created if each["kind"] == "Job"] == [job], "all is cached, so it needs no job"

    text = project.read_text()
    alone = project.with_name("alone.yaml")
    alone.write_text(text.replace("/state", "/other-state").replace("  steps: {Embedder: {workers: 2}}\n", ""))
    cluster.run(compiled(alone), {}, ("pin", "embedder"))
    assert not cluster.failed and rows(cluster) == of_two


@pytest.mark.both_stacks
def test_two_workers_of_a_tfjob_train_what_one_process_trains(
    project: Path, ran: tuple[Cluster, TrainingCluster]
) -> None:
    cluster, kubernetes = ran
    trained = cluster.stored("trainer", "model_run"), cluster.stored("trainer", "model")
    of_two, model = json.loads((trained[0] / "curves.json").read_text()), trained[1] / "Format-Serving"
    examples = tf.constant([record(x) for x in (-1.0, 0.0, 2.0)])
    answers = tf.saved_model.load(str(model)).signatures["serving_default"](examples=examples)
    predicted = {name: value.numpy() for name, value in answers.items()}

    (note,) = [note for note in json.loads((trained[0] / "training_notes.json").read_text())["notes"]
               if note["kind"] == "restarted"]  # fmt: skip
    assert note["text"] == (
        "worker 1: killed (Error, exit code 137); all workers were restarted from the last checkpoint"
    )
    jobs = [each for each in kubernetes.created if each["kind"] == "TFJob"]
    assert len(jobs) == 2 and not kubernetes.jobs and not kubernetes.workers
    assert not any((project.parent / "state" / "checkpoints").rglob("*.*")), "nothing is left in the state"

    project.write_text(project.read_text().replace(", workers: 2", ""))
    cluster.run(compiled(project), {}, ("pin", "trainer"))
    of_one = json.loads((cluster.stored("trainer", "model_run") / "curves.json").read_text())
    assert of_two.keys() == of_one.keys()
    for name, values in of_one.items():
        assert of_two[name] == pytest.approx(values, rel=1e-4), name
    model = cluster.stored("trainer", "model") / "Format-Serving"
    answers = tf.saved_model.load(str(model)).signatures["serving_default"](examples=examples)
    for name, value in answers.items():
        np.testing.assert_allclose(predicted[name], value.numpy(), rtol=1e-3)
