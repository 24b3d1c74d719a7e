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
from tests.support.clusters import Cluster, start_pool_without_hubline
from tests.support.project import HUBLINE, PROJECT

pytestmark = pytest.mark.slow

_OF_A_RUN = re.compile(r"(^|/)(\.seals/.*|events\.out\.tf.*|saved_model\.pb|fingerprint\.pb|eval_config\.json)$")
"""Files that name folders or the time, so that two runs on one machine differ in them too. A SavedModel's variables and
vocabularies are files of their own, and so are predictions and metrics."""

SECONDS = 900
"""No run takes longer on a busy machine."""

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
    return with_section(cluster.section(folder), folder, root)


def with_section(section: str, folder: Path, root: Path) -> subprocess.Popen:
    """The same run with a section `beam`."""
    path = folder / f"{root.name}.yaml"
    path.write_text((folder / "pipeline.yaml").read_text() + section)
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


ENGINE_JOBS = ("examples", "statistics", "vectors", "analysis", "predictions", "metrics")
"""Jobs of a run, in their order."""


def test_a_worker_is_lost_in_each_job_and_the_model_is_the_same(
    cluster: Cluster, local: Callable[[str], tuple[Path, Path]]
) -> None:
    name = {"FlinkRunner": "digits", "SparkRunner": "taxi"}[cluster.runner]
    folder, here = local(name)
    there = folder / f"{cluster.runner}-lost"
    running = on(cluster, folder, there)
    for number, job in enumerate(job for job in ENGINE_JOBS if (name, job) != ("taxi", "vectors")):
        await_job(cluster, job, there, running)
        cluster.lose_worker(number)
    if running.wait(SECONDS) != 0:  # of Evaluator's many tasks, more fail than Flink starts again
        said = log(there)
        assert "Failed in Evaluator" in said and "because a TaskManager was lost" in said, said
        assert on(cluster, folder, there).wait(SECONDS) == 0, log(there)
    assert_equal(there, here)


def test_each_fault_is_named_in_time_and_the_next_run_goes_on(
    cluster: Cluster, local: Callable[[str], tuple[Path, Path]]
) -> None:
    folder, here = local("taxi")
    there = folder / f"{cluster.runner}-faults"

    def fails(running: subprocess.Popen, within: float, said: str) -> None:
        began = monotonic()
        assert running.wait(SECONDS) == 1, log(there)
        assert said in log(there), log(there)
        assert monotonic() - began < within

    nowhere = f"{cluster.workers[0].address}:8099"
    unreachable = cluster.section(folder).replace(cluster.job_server, nowhere)
    said = f"beam.job_endpoint: {nowhere}: no Beam job server answered within 10 s"
    fails(with_section(unreachable, folder, there), 90, said)

    for pod in cluster.workers:
        start_pool_without_hubline(pod, 50001)
    without = cluster.section(folder).replace(":50000", ":50001")
    fails(with_section(without, folder, there), 150, "has no Hubline (No module named 'hubline')")

    running = on(cluster, folder, there)
    await_job(cluster, "examples", there, running)
    running.terminate()
    began = monotonic()
    assert running.wait(SECONDS) == 143 and "SIGTERM" in log(there), log(there)
    await_true(lambda: not cluster.busy())
    assert monotonic() - began < 60

    running = on(cluster, folder, there)
    await_job(cluster, "statistics", there, running)
    cluster.server.kill()
    fails(running, 90, f"beam.job_endpoint: {cluster.job_server}: the job server was lost while the job hubline-stat")
    await_true(lambda: not cluster.busy())
    cluster.start_server(cluster.server)

    running = on(cluster, folder, there)
    assert running.wait(SECONDS) == 0 and "ExampleGen cached" in log(there), log(there)
    assert_equal(there, here)


def test_a_run_whose_engine_changes_back_and_forth_does_nothing_again(
    cluster: Cluster, local: Callable[[str], tuple[Path, Path]]
) -> None:
    folder, root = local("taxi")
    for section in (cluster.section(folder), "", "beam: {workers: 2, min_bytes: 0}\n", cluster.section(folder)):
        running = with_section(section, folder, root)
        assert running.wait(SECONDS) == 0, log(root)
        steps = re.findall(r"^(\w+) +\d+\.\d s(.*)$", log(root), re.MULTILINE)
        assert len(steps) > 5 and all(said.strip() == "cached" for _, said in steps), log(root)


def await_job(cluster: Cluster, job: str, root: Path, running: subprocess.Popen) -> None:
    """Waits until tasks of a job run."""
    await_true(lambda: f"the job hubline-{job}-" in log(root) and cluster.busy(), running)


def await_true(condition: Callable[[], bool], running: subprocess.Popen | None = None) -> None:
    until = monotonic() + SECONDS
    while not condition():
        assert running is None or running.poll() is None
        assert monotonic() < until
        sleep(0.3)
