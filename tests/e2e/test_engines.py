"""Whole runs on a real Flink and a real Spark, as deploy/ sets them up: every artifact equals a local run's."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic, sleep

import pytest
import tensorflow as tf
from tensorflow_model_analysis.proto.validation_result_pb2 import ValidationResult

from tests.support import clusters
from tests.support.clusters import Cluster, start_flink_worker
from tests.support.project import HUBLINE, PROJECT

pytestmark = pytest.mark.slow

_OF_A_RUN = re.compile(r"(^|/)(\.seals/.*|events\.out\.tf.*|saved_model\.pb|fingerprint\.pb|eval_config\.json)$")
"""Files that name folders or the time, so that two runs on one machine differ in them too. A SavedModel's variables and
vocabularies are files of their own, and so are predictions and metrics."""

CLUSTERS = [
    pytest.param(
        clusters.flink,
        id="Flink",
        marks=pytest.mark.skipif(not clusters.FLINK, reason="`make test-flink` brings Flink"),
    ),
    pytest.param(
        clusters.spark,
        id="Spark",
        marks=pytest.mark.skipif(not clusters.SPARK, reason="`make test-spark` brings Spark"),
    ),
]


@pytest.fixture(scope="module", params=CLUSTERS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    start: Callable[[Path], AbstractContextManager[Cluster]] = request.param
    with start(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """A function that runs an example on this machine, once; returns its folder and the run's root."""
    done: dict[str, tuple[Path, Path]] = {}

    def run_once(name: str) -> tuple[Path, Path]:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            ignored = shutil.ignore_patterns("data", "modules", "serving", ".hubline")
            shutil.copytree(PROJECT / "examples" / name, folder, dirs_exist_ok=True, ignore=ignored)
            subprocess.run([sys.executable, folder / "make_data.py"], check=True)
            path = folder / "pipeline.yaml"
            path.write_text(re.sub(r"epochs: \d+", "epochs: 2", path.read_text()).replace("0.95,", "0.5,"))
            running = started(path, folder / "local")
            assert running.wait() == 0, log(folder / "local")
            done[name] = folder, folder / "local"
        return done[name]

    return run_once


def started(path: Path, root: Path) -> subprocess.Popen:
    """`hubline run` in a process of its own, without a version that serves."""
    shutil.rmtree(path.parent / "serving", ignore_errors=True)
    root.mkdir(exist_ok=True)
    with log_file(root).open("wb") as out:
        command = [*HUBLINE, "run", str(path), "--root", str(root)]
        return subprocess.Popen(command, cwd=PROJECT, stdout=out, stderr=subprocess.STDOUT)


def log_file(root: Path) -> Path:
    return root.with_name(f"{root.name}.log")


def log(root: Path) -> str:
    return log_file(root).read_text()


def on(cluster: Cluster, folder: Path, root: Path) -> subprocess.Popen:
    """The same run on a cluster."""
    path = folder / f"{root.name}.yaml"
    path.write_text((folder / "pipeline.yaml").read_text() + cluster.section(folder))
    return started(path, root)


def artifacts(root: Path) -> dict[str, list[bytes]]:
    """Contents of all artifacts by component, output and path."""
    folder = root / "artifacts"
    found: dict[str, list[bytes]] = {}
    for path in folder.rglob("*"):
        name = re.sub(r"^(\w+/\w+)/\d+/", r"\1/", path.relative_to(folder).as_posix())
        if path.is_file() and not _OF_A_RUN.search(name):
            name, contents = metrics(name, path) if "Evaluator/evaluation/" in name else (name, [path.read_bytes()])
            found[name] = sorted([*found.get(name, []), *contents])
    return found


def metrics(name: str, path: Path) -> tuple[str, list[bytes]]:
    """The slices of a file of TFMA, which writes them in the order, and to the number of files, of the engine."""
    if not re.search(r"\.tfrecord$", name):
        return name, [path.read_bytes()]
    records = [bytes(each.numpy()) for each in tf.data.TFRecordDataset(str(path))]
    if name.endswith("/validations.tfrecord"):
        (validations,) = map(ValidationResult.FromString, records)
        slices = [each.SerializeToString() for each in validations.metric_validations_per_slice]
        validations.ClearField("metric_validations_per_slice")
        records = [*slices, validations.SerializeToString()]
    return re.sub(r"-\d{5}-of-\d{5}", "", name), records


def assert_equal(there: Path, here: Path) -> None:
    found, expected = artifacts(there), artifacts(here)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    kinds = (
        "ExampleGen/examples/",
        "StatisticsGen/statistics/",
        "SchemaGen/schema/",
        "Transform/",
        "Trainer/model/",
        "Evaluator/",
    )
    assert all(any(name.startswith(kind) for name in expected) for kind in kinds)


def test_columns_become_the_same_model(cluster: Cluster, local: Callable[[str], tuple[Path, Path]]) -> None:
    folder, here = local("taxi")
    there = folder / cluster.runner
    assert on(cluster, folder, there).wait() == 0, log(there)
    assert_equal(there, here)
    again = on(cluster, folder, there)
    assert again.wait() == 0 and "ExampleGen cached" in log(there).replace("unchanged", "cached"), log(there)


def test_pictures_become_the_same_model_although_a_worker_is_lost(
    cluster: Cluster, local: Callable[[str], tuple[Path, Path]]
) -> None:
    if cluster.runner != "FlinkRunner":
        pytest.skip("the workers that are killed here are Flink's")
    folder, here = local("digits")
    there = folder / cluster.runner
    running = on(cluster, folder, there)
    await_true(lambda: "StatisticsGen …" in log(there) and is_busy(cluster), running)
    lost = cluster.workers[0]
    lost.kill()
    start_flink_worker(cluster.network.folder, lost, cluster.network.pods[0])
    if running.wait() != 0:
        assert "Failed in StatisticsGen" in log(there), log(there)
        assert on(cluster, folder, there).wait() == 0, log(there)
    assert_equal(there, here)


def is_busy(cluster: Cluster) -> bool:
    return any(job["tasks"]["running"] for job in cluster.get("jobs/overview")["jobs"])


def await_true(condition: Callable[[], bool], running: subprocess.Popen) -> None:
    until = monotonic() + 300
    while not condition():
        assert running.poll() is None and monotonic() < until
        sleep(0.5)
