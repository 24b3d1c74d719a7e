"""The pod of a worker: the step's inputs in it, its TF_CONFIG, its exit code, and its outputs in the step's pod."""

import json
from pathlib import Path
from typing import Any

import pytest

from hubline.core import storage
from hubline.core.errors import RunError
from hubline.pipeline.kubeflow import executor_io
from hubline.pipeline.kubeflow.placement import Placement
from hubline.pipeline.kubeflow.workers import exchange, worker
from hubline.pipeline.kubeflow.workers.exchange import Exchange, files_of
from hubline.pipeline.kubeflow.workers.settings import WorkerPods

HOSTS = "taxi-0.taxi.team.svc:2222,taxi-1.taxi.team.svc:2222"

TRAINER = WorkerPods(image="x", placement=Placement())


class Pods:
    """A step's pod, and a worker's, with the same local folder for artifacts."""

    def __init__(self, folder: Path) -> None:
        self.local, self.store = folder / "pod", folder / "store"
        self.job = folder / "state" / "checkpoints" / "0123abcd" / "workers" / "job.json"
        self.input, self.output = f"{self.local}/bucket/rows", f"{self.local}/bucket/model"
        storage.write_text(str(self.job), json.dumps({"input": self.input, "output": self.output}))
        self.exchange = Exchange(str(self.job))

    def begin(self, content: str) -> exchange.Files:
        storage.write_text(f"{self.store}/bucket/rows/shards/0", content)
        files = files_of({"rows": [self.input]}, {"model": [self.output]}, TRAINER)
        self.exchange.write(files)
        return files

    def run(self, hosts: str = HOSTS) -> int:
        return worker.main([str(self.job), hosts])


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pods:
    monkeypatch.setattr(executor_io, "MOUNTED", {f"{tmp_path}/store/": f"{tmp_path}/pod/"})
    monkeypatch.setattr(worker, "MODULE", "tests.support.worker_process")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    return Pods(tmp_path)


def indexed(index: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))


def test_a_worker_gets_the_inputs_and_worker_0_leaves_the_outputs(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    files = pods.begin("rows")
    assert exchange.scratch_folders(files) == [str(pods.local)]
    assert pods.exchange.training == "0123abcd"
    indexed(0, monkeypatch)
    assert pods.run() == 0
    storage.remove_tree(str(pods.local))  # the step's pod has another disk
    pods.exchange.fetch_outputs(files)
    content, index, config = Path(pods.output, "told").read_text().split(" ", 2)
    assert (content, index) == ("rows", "0")
    hosts = HOSTS.split(",")
    assert json.loads(config) == {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": 0}}
    assert not pods.job.parent.exists(), "nothing is left in the state"


def test_training_operators_tf_config_is_kept(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    task = {"type": "worker", "index": 1}
    given = {"cluster": {"worker": ["a:2222", "b:2222"]}, "task": task, "environment": "cloud"}
    monkeypatch.setenv("TF_CONFIG", json.dumps(given))
    files = pods.begin("rows")
    assert pods.run("") == 0
    assert json.loads(Path(pods.output, "told").read_text().split(" ", 2)[2]) == given
    with pytest.raises(RunError, match="outputs/model: worker 0 succeeded, but left no such output"):
        pods.exchange.fetch_outputs(files)


@pytest.mark.parametrize(("content", "code"), [("damaged", 2), ("killed", 137)])
def test_a_workers_exit_code_is_the_pods(pods: Pods, monkeypatch: pytest.MonkeyPatch, content: str, code: int) -> None:
    indexed(0, monkeypatch)
    pods.begin(content)
    assert pods.run() == code
    assert not (pods.job.parent / "outputs").exists()


def test_an_error_before_the_training_is_one_of_the_worker(
    pods: Pods, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    indexed(0, monkeypatch)
    pods.begin("rows")
    pods.exchange.write(exchange.Files(inputs={pods.input: "minio://bucket/rows"}, outputs={}))
    for name in ("MINIO_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    assert pods.run() == 2
    assert "MINIO_ENDPOINT" in capsys.readouterr().err.splitlines()[-1]


def test_artifacts_that_workers_cannot_read_are_refused_before_a_job_is_made(pods: Pods, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"rows: this artifact is in no store .*set kubeflow\.pipeline_root"):
        files_of({"rows": [str(tmp_path / "elsewhere" / "rows")]}, {}, TRAINER)
    with pytest.raises(RunError, match=r"environment and secrets of the step .*which can't read .*there is no such"):
        files_of({"rows": [pods.input]}, {}, TRAINER)
