"""A step whose shards several pods share: workers of this process in the pods of a fake cluster."""

import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tfx.types import standard_artifacts

from hubline.core import storage
from hubline.core.errors import DataError, RunError, UserError
from hubline.core.shard_cache import ShardCache
from hubline.pipeline.kubeflow import executor_io
from hubline.pipeline.kubeflow.entrypoint import BeamArguments, created
from hubline.pipeline.kubeflow.workers import job_run, patience, shard_worker, shards
from hubline.pipeline.kubeflow.workers.settings import WorkerPods
from hubline.pipeline.kubeflow.workers_config import VARIABLE
from tests.support import counted_stage
from tests.support.counted_stage import Killed
from tests.support.training_cluster import OWN, TrainingCluster, index_of


class InThisProcess:
    """A kubelet that runs the command of a pod at its start, on a disk without the step's files."""

    def __init__(self, local: Path) -> None:
        self._local = local
        self._codes: dict[str, int] = {}

    def start(self, pod: dict) -> None:
        shutil.rmtree(self._local, ignore_errors=True)
        (container,) = pod["spec"]["containers"]
        assert container["command"] == ["python", "-m", shard_worker.__name__]
        with mock.patch.dict("os.environ", {"JOB_COMPLETION_INDEX": str(index_of(pod))}):
            self._codes[pod["metadata"]["uid"]] = self._run(container["args"])

    @staticmethod
    def _run(arguments: list[str]) -> int:
        try:
            return shard_worker.main(arguments)
        except Killed:
            return 137
        except Exception:
            return 1

    def terminated(self, pod: dict) -> dict:
        code = self._codes[pod["metadata"]["uid"]]
        return {"exitCode": code, "reason": "Error" if code else "Completed", "message": "", "finishedAt": None}

    def log(self, pod: dict) -> Iterator[str]:
        return iter(())

    def kill(self, pod: dict) -> None:
        pass


class Step:
    """A step of a run, with `workers` pods."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._patch = folder, monkeypatch
        self.log, self.store = folder / "log", folder / "state" / "store"

    def run(self, contents: Sequence[str], workers: int, **job: Any) -> None:
        numbers = standard_artifacts.Examples()
        numbers.uri = f"{self.folder}/pod/numbers"
        for root in ("store", "pod"):
            storage.write_text(f"{self.folder}/{root}/numbers/shards", "\n".join(contents))
            for value, content in enumerate(contents):
                storage.write_text(counted_stage.shard(f"{self.folder}/{root}/numbers", value), content)
        settings = WorkerPods.model_validate(
            {
                "step": "Embedder",
                "kind": "shards",
                "job": job,
                "image": "x",
                "placement": {"workers": workers},
                "state": f"{self.folder}/state",
            }
        )
        self._patch.setenv(VARIABLE, settings.model_dump_json())
        executor = created(counted_stage.PATH, str(self.folder / "scratch"), BeamArguments.of_environment())
        properties = {"log": str(self.log), "store": str(self.store)}
        shards.run(counted_stage.PATH, executor, {"numbers": [numbers]}, properties)

    @property
    def done(self) -> list[tuple[int, int]]:
        """Worker and shard of each attempt."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(int(worker), int(shard)) for worker, shard in map(str.split, lines)]

    def results(self, contents: Sequence[str]) -> list[str]:
        cache = ShardCache(str(self.store))
        keys = [counted_stage.Number("", value, content).key for value, content in enumerate(contents)]
        return [Path(f"{cache.find(key)}/number").read_text() for key in keys]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrainingCluster]:
    """A cluster; this process is in its pod `OWN`."""
    monkeypatch.setattr(job_run, "PAUSE_SECONDS", 0.005)
    monkeypatch.setattr(executor_io, "MOUNTED", {f"{tmp_path}/store/": f"{tmp_path}/pod/"})
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KFP_POD_NAME", OWN)
    cluster = TrainingCluster(InThisProcess(tmp_path / "pod"))
    with cluster.serving(tmp_path) as kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield cluster


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    return Step(tmp_path, monkeypatch)


NINE = [f"text{number}" for number in range(9)]
EXPECTED = [content * value for value, content in enumerate(NINE)]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_are_the_same_by_any_number_of_workers(cluster: TrainingCluster, step: Step, workers: int) -> None:
    step.run(NINE, workers)
    assert step.results(NINE) == EXPECTED
    assert sorted(step.done) == sorted((shard % workers, shard) for shard in range(9))
    assert not cluster.jobs and not list((step.folder / "state" / "workers").iterdir()), "nothing is left"


def test_what_is_cached_is_not_done_again_and_needs_no_job(
    cluster: TrainingCluster, step: Step, caplog: pytest.LogCaptureFixture
) -> None:
    step.run(NINE, 3)
    step.run(NINE, 3)
    assert len(cluster.created) == 1
    with caplog.at_level(logging.INFO, "hubline"):
        step.run([*NINE, "more", "most"], 3)
    assert step.done[9:] == [(0, 9), (1, 10)]
    assert "2 of 3 workers take part: there are 2 shards to do (numbers)" in caplog.messages


def test_a_worker_that_is_killed_costs_the_shard_in_its_hands(cluster: TrainingCluster, step: Step) -> None:
    contents = [*NINE[:4], "killed", *NINE[5:]]
    step.run(contents, 3)
    assert step.results(contents) == [*EXPECTED[:4], "killed" * 4, *EXPECTED[5:]]
    attempts = Counter(step.done)
    assert attempts.pop((1, 4)) == 2
    assert set(attempts.values()) == {1}, "not the shards of other workers, nor those that were done"
    assert len(cluster.created) == 1


def test_an_error_of_a_record_is_the_steps(cluster: TrainingCluster, step: Step) -> None:
    contents = [*NINE[:4], "bad", *NINE[5:]]
    with pytest.raises(DataError, match=r"^shard 4: record 3 can't be embedded$"):
        step.run(contents, 3)
    assert (1, 7) not in step.done, "the worker has stopped there"
    assert Counter(step.done)[1, 4] == 1, "it is not tried again"
    assert not cluster.jobs and not list((step.folder / "state" / "workers").iterdir())


def test_a_store_that_is_silent_for_a_moment_costs_one_shard_and_one_that_is_gone_is_the_steps_error(
    cluster: TrainingCluster, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PAUSES_SECONDS", (0.01, 0.02))
    contents = [*NINE[:4], "silent", *NINE[5:]]
    step.run(contents, 3)
    assert step.results(contents) == [*EXPECTED[:4], "silent" * 4, *EXPECTED[5:]]
    attempts = Counter(step.done)
    assert attempts.pop((1, 4)) == 2 and set(attempts.values()) == {1}
    with pytest.raises(UserError, match=r"^s3://b/k: the store cannot be reached$"):
        step.run([*contents, "gone"], 3)
    assert Counter(step.done)[0, 9] == 3, "once, and after each pause"
    assert len(cluster.created) == 2, "no pod was replaced"


def test_an_unexpected_error_has_its_traceback(cluster: TrainingCluster, step: Step) -> None:
    with pytest.raises(RunError, match=r"^worker 0: Traceback(.|\n)*ValueError: unexpected$"):
        step.run(["fault"], 3)


def test_what_a_killed_step_left_is_deleted(cluster: TrainingCluster, step: Step) -> None:
    with pytest.raises(DataError):
        step.run(["bad"], 2)
    left = {**cluster.created[0]}
    left["metadata"] = left["metadata"] | {"name": "left", "ownerReferences": [{"name": "gone", "uid": "0"}]}
    cluster.jobs["left"] = left
    storage.write_text(f"{step.folder}/state/workers/left/job.json", "{}")
    with pytest.raises(DataError):
        step.run(["bad"], 2)
    assert "left" in cluster.deleted and not list((step.folder / "state" / "workers").iterdir())


def test_workers_of_another_run_go_on(cluster: TrainingCluster, step: Step) -> None:
    with pytest.raises(DataError):
        step.run(["bad"], 2)
    other = {**cluster.created[0]}
    owners = [{"name": OWN, "uid": cluster.pods[OWN]["metadata"]["uid"]}]
    other["metadata"] = other["metadata"] | {"name": "other", "ownerReferences": owners}
    cluster.jobs["other"] = other
    with pytest.raises(DataError, match="can't be embedded"):
        step.run(["bad"], 2)
    assert list(cluster.jobs) == ["other"]
