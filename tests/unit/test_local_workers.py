"""Several workers as processes of this machine: their ends, their logs, and restarts."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hubline.components.trainer import local_workers
from hubline.core import interruption
from hubline.core.errors import DataError, RunError


@pytest.fixture(autouse=True)
def _scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_workers, "MODULE", "tests.support.scripted_worker")


def run(folder: Path, *does: list[str]) -> list[str]:
    (folder / "job.json").write_text(json.dumps(does))
    return local_workers.run(str(folder / "job.json"), len(does))


@pytest.mark.slow
def test_workers_know_their_places_and_their_messages_are_passed_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "hubline"):
        assert run(tmp_path, ["done"], ["done"]) == []
    assert {"worker 0: done", "worker 1: done"} <= set(caplog.messages)


@pytest.mark.slow
def test_a_worker_that_is_killed_is_survived(tmp_path: Path) -> None:
    restarts = run(tmp_path, ["lost", "done"], ["killed", "done"])
    assert restarts == ["worker 1: killed (exit code 137)"], "and not worker 0, which lost its connection"


@pytest.mark.slow
def test_an_error_of_a_worker_is_raised_as_it_is_and_ends_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_workers, "GRACE_SECONDS", 0.5)
    with pytest.raises(DataError, match=r"^shard 7 is damaged$"):
        run(tmp_path, ["waits"], ["error"])


@pytest.mark.slow
def test_a_crash_is_told_with_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"(?s)worker 0 failed with exit code 1:\n.*ValueError: a bug"):
        run(tmp_path, ["crash"], ["lost"])


@pytest.mark.slow
def test_restarts_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_workers, "RESTARTS", 1)
    with pytest.raises(RunError, match=r"worker 0: killed \(exit code 137\); the workers were restarted 1 times"):
        run(tmp_path, ["killed", "killed"])


def processes(folder: Path, count: int) -> list[int]:
    """The processes of workers, once all of them have started."""
    while not all((folder / f"starts-{index}").exists() for index in range(count)):
        time.sleep(0.05)
    return [int((folder / f"process-{index}").read_text()) for index in range(count)]


def exists(process: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.slow
def test_workers_end_with_a_run_that_is_asked_to_end(tmp_path: Path) -> None:
    def terminate() -> None:
        processes(tmp_path, 2)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate, daemon=True).start()
    with interruption.handled(), pytest.raises(interruption.Interrupted):
        run(tmp_path, ["waits"], ["waits"])
    assert not any(map(exists, processes(tmp_path, 2)))


KILLED = """
import sys
from hubline.components.trainer import local_workers
local_workers.MODULE = "tests.support.scripted_worker"
local_workers.run(sys.argv[1], 2)
"""


@pytest.mark.slow
def test_workers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps([["waits"], ["waits"]]))
    command = [sys.executable, "-c", KILLED, str(tmp_path / "job.json")]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}) as run:
        started = processes(tmp_path, 2)
        run.kill()
    deadline = time.monotonic() + 45  # of the 60 seconds that they would wait otherwise
    while any(map(exists, started)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(exists, started))
