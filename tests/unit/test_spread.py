"""Stages in processes of this machine: what is done where, how often, and what is left when something ends."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from hubline.components.beam import IN_ONE_PROCESS, in_processes
from hubline.components.engine import Work
from hubline.components.spread import run as run_module
from hubline.components.spread.failure import WorkerError
from hubline.components.spread.processes import Process, kept
from hubline.components.spread.run import run_stage
from hubline.components.spread.stage import Stage
from hubline.components.spread.visible import wait_for_results
from hubline.core.errors import DataError, RunError
from tests.support.stages import REFUSED, Killed, KilledBeside, Meeting, Number, Refusing, Sleeping, results, stage

ROOT = Path(__file__).parents[2]


def run(made: Stage[Number], workers: int) -> None:
    def arguments(work: Work) -> list[str]:
        return list(IN_ONE_PROCESS) if workers == 1 else in_processes(workers)

    run_stage(made, arguments, f"{made.store}/scratch")


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_cached_is_not_done_again_and_equal_shards_are_done_once(tmp_path: Path) -> None:
    made = stage(tmp_path, Sleeping(), 3)
    assert made.missing() == list(made.tasks)
    run(made, 1)
    first = results(made)
    assert [each["square"] for each in first] == [0, 1, 4]
    run(stage(tmp_path, Refusing(2, REFUSED), 3), 1)  # nothing is left to refuse
    assert results(made) == first
    twice = Stage("a", "b", [Number(7), Number(8), Number(7, count=5)], Sleeping(), made.store, 1.0)
    assert twice.distinct == twice.missing() == [Number(7), Number(8)]


def test_tasks_in_threads_stop_at_the_first_error(tmp_path: Path) -> None:
    made = stage(tmp_path, Refusing(1, REFUSED), 400, at_once=2)
    with pytest.raises(DataError, match="no label"):
        run(made, 1)
    assert len(made.missing()) > 300


@pytest.mark.slow
def test_processes_are_kept_work_at_the_same_time_and_end_with_the_block(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    first = stage(tmp_path / "a", Sleeping(0.1), 8)
    second = stage(tmp_path / "b", Meeting(4, str(marks)), 4)
    with caplog.at_level(logging.INFO, logger="hubline.progress"), kept() as processes:
        run(first, 4)
        pids = processes.pids
        run(second, 4)
        assert processes.pids == pids and len(set(pids)) == 3, "and this process"
        assert all(map(is_alive, pids))
    assert [each["square"] for each in results(first)] == [number**2 for number in range(8)]
    assert {each["pid"] for each in results(first)} <= {os.getpid(), *pids}
    assert {each["pid"] for each in results(second)} == {os.getpid(), *pids}
    assert not any(map(is_alive, pids))
    assert caplog.messages[-1] == "4 of 4 numbers"


@pytest.mark.slow
def test_a_task_whose_worker_is_killed_is_done_by_another_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    with caplog.at_level(logging.INFO, logger="hubline.progress"), kept() as processes:
        made = stage(tmp_path / "once", Killed(1, 1, str(marks)), 4)
        run(made, 2)
        (pid,) = (int(mark.name) for mark in marks.iterdir())
        said = f"(process {pid}) was killed by SIGKILL while it did the squares of shard-1, which another worker does"
        assert [said in text for text in caplog.messages].count(True) == 1
        assert not made.missing() and caplog.messages[-1] == "4 of 4 numbers"
        assert pid not in processes.pids and len(processes.pids) == 1
        made = stage(tmp_path / "again", Killed(1, 9, str(marks)), 4)
        with pytest.raises(RunError, match=r"^worker 2 of 2 .* SIGKILL .* shard-1, as did .* set beam\.workers lower"):
            run(made, 2)
    assert Number(1) in made.missing()


@pytest.mark.slow
def test_the_step_itself_never_does_a_task_that_killed_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that takes the worker's place is killed before it gets the task."""
    marks = tmp_path / "marks"
    marks.mkdir()
    start = Process.start

    def killed_in_its_place(process: Process) -> None:
        start(process)
        if list(marks.iterdir()):
            os.kill(process.pid, signal.SIGKILL)

    monkeypatch.setattr(Process, "start", killed_in_its_place)
    with kept():
        made = stage(tmp_path / "numbers", Killed(1, 1, str(marks)), 4)
        with pytest.raises(RunError, match=r"killed while it did the squares of shard-1, and no worker is left"):
            run(made, 2)
    assert Number(1) in made.missing()


@pytest.mark.slow
def test_of_tasks_that_were_lost_together_only_the_one_that_kills_again_is_blamed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    marks = {times: tmp_path / f"marks-{times}" for times in (1, 2)}
    for folder in marks.values():
        folder.mkdir()
    with caplog.at_level(logging.INFO, logger="hubline.progress"), kept():
        made = stage(tmp_path / "once", KilledBeside(3, 1, str(marks[1])), 6, at_once=4)
        run(made, 2)
        assert not made.missing() and caplog.messages[-1] == "6 of 6 numbers"
        (said,) = (text for text in caplog.messages if "SIGKILL" in text)
        assert "the squares of shard-2, shard-3, which" in said or "the squares of shard-3, shard-2, which" in said
        made = stage(tmp_path / "again", KilledBeside(3, 2, str(marks[2])), 6, at_once=4)
        with pytest.raises(RunError, match=r"SIGKILL while it did the squares of shard-3, as did the one that tried"):
            run(made, 2)
    done_alone = [mark.name.split("-")[1] for mark in marks[1].glob("[23]-*")]
    assert len(set(done_alone)) == 2, "by the one that was killed, and by the one in its place"


@pytest.mark.slow
def test_errors_of_workers_arrive_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no label"):
        run(stage(tmp_path, Refusing(0, REFUSED), 4), 2)  # in the step's own process, which begins
    with pytest.raises(DataError) as ours:
        run(stage(tmp_path, Refusing(1, REFUSED, in_a_helper=True), 4), 2)
    assert type(ours.value) is DataError and str(ours.value) == str(REFUSED)
    with pytest.raises(WorkerError, match=r"^ZeroDivisionError: by nothing$") as other:
        run(stage(tmp_path, Refusing(1, ZeroDivisionError("by nothing"), in_a_helper=True), 4), 2)
    assert "in __call__" in str(other.value.__cause__)


def test_results_of_another_host_are_waited_for(tmp_path: Path) -> None:
    made = stage(tmp_path, Sleeping(), 3)
    made.do(made.tasks[0], lambda more: None)
    other = threading.Timer(0.3, lambda: [made.do(task, lambda more: None) for task in made.tasks[1:]])
    other.start()
    assert wait_for_results(made, made.tasks, seconds=60) == []
    other.join()
    assert wait_for_results(replace(made, store=str(tmp_path / "elsewhere")), made.tasks, seconds=0) == list(made.tasks)


def test_results_of_an_engine_that_never_arrive_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stage(tmp_path, Sleeping(), 3)
    monkeypatch.setattr(run_module.on_engine, "run", lambda *_: made.do(made.tasks[1], lambda more: None))
    monkeypatch.setattr(run_module, "wait_for_results", partial(wait_for_results, seconds=0.1))
    with pytest.raises(
        RunError, match=r"store: lacks the results of 2 of 3 shards .* the first of shard-0; the workers"
    ):
        run_stage(made, lambda work: ["--runner=FlinkRunner"], f"{tmp_path}/scratch")


@pytest.mark.parametrize(("runs_models", "processes"), [(True, 1), (False, 2)])
def test_with_a_gpu_only_the_steps_own_process_runs_models_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, runs_models: bool, processes: int
) -> None:
    devices = SimpleNamespace(list_physical_devices=lambda kind: ["the first"] if kind == "GPU" else [])
    monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(config=devices))
    marks = tmp_path / "marks"
    marks.mkdir()
    made = replace(stage(tmp_path, Meeting(processes, str(marks)), 4), runs_models=runs_models)
    with caplog.at_level(logging.INFO, logger="hubline.progress"), kept():
        run(made, 2)
    assert len({each["pid"] for each in results(made)}) == processes
    said = "1 of 2 workers takes part: only the step's own process uses the GPU"
    assert (said in caplog.messages) == runs_models


RUN = """
import sys
from pathlib import Path

if __name__ == "__main__":  # workers import this file, too
    from hubline.components.spread import local
    from hubline.components.spread.processes import kept
    from hubline.components.spread.progress import Progress
    from hubline.core import interruption
    from tests.support.stages import Sleeping, stage

    made = stage(Path(sys.argv[1]), Sleeping(600), 3)
    with interruption.handled(), kept() as processes:
        local.run(made, made.tasks, 3, Progress(made, made.tasks), processes)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_step(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "main.py").write_text(RUN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    step = subprocess.Popen([sys.executable, "main.py", str(tmp_path)], cwd=tmp_path, env=environment)

    def workers() -> list[int]:
        found = Path(f"/proc/{step.pid}/task/{step.pid}/children").read_text().split()
        return [int(pid) for pid in found if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]

    try:
        wait_for(lambda: len(list((tmp_path / "store").glob("key*/*"))) == 3)  # all are at work
        pids = workers()
        assert len(pids) == 2
        step.send_signal(number)
        assert step.wait(60) != 0
    finally:
        step.kill()
    wait_for(lambda: not any(map(is_alive, pids)))
    assert not list((tmp_path / "store").glob("*/complete"))
