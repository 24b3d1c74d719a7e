"""Steps on an engine: Beam's own job server, with workers that are processes of their own."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from pipeline.load import load
from pipeline.schema import describe
from tests import make

SECTION = """\
beam:
  runner: PortableRunner
  job_endpoint: localhost:{server}
  environment: EXTERNAL
  environment_config: localhost:{workers}
"""


def free_port() -> int:
    with closing(socket.socket()) as taken:
        taken.bind(("localhost", 0))
        return taken.getsockname()[1]


@contextmanager
def serving(module: str, flag: str, log: Path) -> Iterator[int]:
    """One of Beam's services in a process of its own, and its port."""
    port = free_port()
    # The pool of workers starts them as `python`.
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(Path.cwd())}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, flag, str(port)], env=env, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        await_answer(port, process, log)
        yield port
    finally:
        process.terminate()
        process.wait()


def await_answer(port: int, process: subprocess.Popen, log: Path) -> None:
    until = monotonic() + 120
    while True:
        with closing(socket.socket()) as client:
            if client.connect_ex(("localhost", port)) == 0:
                return
        assert process.poll() is None and monotonic() < until, log.read_text()
        sleep(0.2)


@pytest.mark.slow
def test_an_engine_ingests_and_describes_as_the_step_itself_does(tmp_path: Path) -> None:
    path = make.project(tmp_path)
    file, _ = load(path)
    here = describe(path, file, tmp_path / "here", read=True)
    with (
        serving("apache_beam.runners.portability.local_job_service_main", "--port", tmp_path / "server.log") as server,
        serving("apache_beam.runners.worker.worker_pool_main", "--service_port", tmp_path / "pool.log") as workers,
    ):
        path.write_text(path.read_text() + SECTION.format(server=server, workers=workers))
        file, _ = load(path)
        there = describe(path, file, tmp_path / "there", read=True)
    assert there == here
    started = (tmp_path / "pool.log").read_text().count("Starting worker")
    assert started >= 2, "each of the two steps has asked for workers"
