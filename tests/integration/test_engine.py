"""Steps on a Beam runner: Beam's own job server, with workers in separate processes."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from hubline.pipeline.load import load
from hubline.pipeline.schema import describe
from tests.support.ports import free_port
from tests.support.project import make_project

FLINK = os.environ.get("HUBLINE_FLINK_JARS")
SECTION = """\
beam:
  runner: {runner}
  job_endpoint: localhost:{server}
  environment: EXTERNAL
  environment_config: localhost:{workers}
  min_bytes: 0
"""


@contextmanager
def serving(command: Sequence[str], port: int, log: Path) -> Iterator[int]:
    """A service in its own process, and its port."""
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=subprocess.STDOUT)
    try:
        await_answer(port, process, log)
        yield port
    finally:
        process.terminate()
        process.wait()


def beams(port: int) -> list[str]:
    """Beam's own job server."""
    return [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", "--port", str(port)]


def flinks(port: int) -> list[str]:
    """The job server that starts Flink in its own process."""
    ports = ["--job-port", str(port), "--artifact-port", "0", "--expansion-port", "0"]
    driver = "org.apache.beam.runners.flink.FlinkJobServerDriver"
    return ["java", "-cp", f"{FLINK}/*", driver, *ports, "--flink-master", "[local]"]


def pool(port: int) -> list[str]:
    """A pool that starts workers on demand."""
    # As in a container, another Python or none is on the PATH.
    python = ["env", f"PATH={os.defpath}", sys.executable]
    return [*python, "-m", "hubline.components.worker_pool", "--service_port", str(port)]


def await_answer(port: int, process: subprocess.Popen, log: Path) -> None:
    until = monotonic() + 120
    while True:
        with closing(socket.socket()) as client:
            if client.connect_ex(("localhost", port)) == 0:
                return
        assert process.poll() is None and monotonic() < until, log.read_text()
        sleep(0.2)


needs_flink = pytest.mark.skipif(FLINK is None, reason="`make test-flink` brings Flink")


@pytest.mark.both_stacks
@pytest.mark.slow
@pytest.mark.parametrize(
    ("runner", "server"),
    [("PortableRunner", beams), pytest.param("FlinkRunner", flinks, marks=needs_flink)],
    ids=["Beam's job server", "Flink"],
)
def test_an_engine_ingests_and_describes_as_the_step_itself_does(
    tmp_path: Path, runner: str, server: Callable[[int], list[str]]
) -> None:
    path = make_project(tmp_path)
    file, _ = load(path)
    here = describe(path, file, tmp_path / "here", read=True)
    jobs, workers = free_port(), free_port()
    with (
        serving(server(jobs), jobs, tmp_path / "server.log"),
        serving(pool(workers), workers, tmp_path / "pool.log"),
    ):
        path.write_text(path.read_text() + SECTION.format(runner=runner, server=jobs, workers=workers))
        file, _ = load(path)
        there = describe(path, file, tmp_path / "there", read=True)
    assert there == here
    started = (tmp_path / "pool.log").read_text().count("Starting worker")
    assert started >= 2, "each of the two steps has asked for workers"
