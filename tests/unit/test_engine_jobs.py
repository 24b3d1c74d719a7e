"""Jobs on a Beam engine: what a worker is asked before the first, cancelling, what is told, and why a job failed."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import apache_beam as beam
import pytest

from hubline.components.beam import Beam
from hubline.components.engine_jobs import job, on_worker, probe
from hubline.components.engine_jobs.engine import Engine
from hubline.components.engine_jobs.failures import explained
from hubline.components.engine_jobs.job import JobPipeline
from hubline.components.engine_jobs.probe import Places, ask_a_worker
from hubline.components.spread import on_engine
from hubline.components.spread.stage import Stage
from hubline.core import interruption
from hubline.core.errors import DataError, RunError
from hubline.core.shard_cache import ShardCache
from tests.support.flink_rest import FlinkRest
from tests.support.job_server import StuckJobs, beams_job_server
from tests.support.stages import FILE, Number, Refusing, Sleeping

POOL = "localhost:50000"

# Beam's own job server raises the error of a job in a thread of its own, too.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def engine(port: int, environment: str = "EXTERNAL", **options: Any) -> Engine:
    """An engine whose job server has a port of this machine."""
    section = Beam(
        runner="FlinkRunner" if options else "PortableRunner",
        job_endpoint=f"localhost:{port}",
        environment=environment,
        environment_config=POOL if environment == "EXTERNAL" else None,
        options=options,
    )
    found = Engine.of([each for each in section.arguments() if "min_bytes" not in each])
    assert found is not None
    return found


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    probe.forget()
    monkeypatch.setattr(job, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(job, "TELL_SECONDS", 0.0)


@pytest.fixture(scope="module")
def beams() -> Iterator[int]:
    with beams_job_server() as port:
        yield port


# What a worker is asked


@pytest.mark.slow
def test_a_worker_like_the_step_that_reaches_all_places_is_asked_once(
    beams: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").write_text("x")
    places = Places(read=(f"{tmp_path}/data",), written=(f"{tmp_path}/store",))
    ask_a_worker(engine(beams, "LOOPBACK"), places)
    assert not list((tmp_path / "store").iterdir()), "nothing of it stays"
    monkeypatch.setattr(probe, "JobPipeline", lambda *_: pytest.fail("asked again"))
    ask_a_worker(engine(beams, "LOOPBACK"), Places(written=(f"{tmp_path}/other",)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"python": "3.9"}, rf"has Python {on_worker.minor_version()}, and the step has 3\.9"),
        ({"packages": {"apache-beam": "2.1"}}, r"has apache-beam 2\.\d+\.\d+, and the step has 2\.1$"),
        ({"packages": {"tfx-of-others": "1.0"}}, r"has no tfx-of-others \(1\.0\)$"),
        ({"environment": {"TF_USE_LEGACY_KERAS": "2"}}, r"lacks the setting TF_USE_LEGACY_KERAS=2$"),
        ({"modules": {}}, r"has another Hubline: \d+ of its files differ from the step's, such as __init__\.py$"),
        ({"read": ("/nowhere/data",)}, r"can't read /nowhere/data: FileNotFoundError"),
        ({"written": ("/nowhere",)}, r"can't read /nowhere, which the step writes to: FileNotFoundError"),
    ],
)
def test_a_worker_that_cannot_do_the_job_says_why(
    beams: int, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], said: str
) -> None:
    found = probe.asked(Places(), "token") | asked
    monkeypatch.setattr(probe, "asked", lambda *_: found)
    with pytest.raises(RunError, match=rf"^beam\.environment: LOOPBACK: the worker on \S+ \(.*python.*\) {said}"):
        ask_a_worker(engine(beams, "LOOPBACK"), Places())


def test_the_probe_is_pickled_without_the_package_and_without_bytecode() -> None:
    import pickle
    import pickletools

    sent = pickle.dumps(probe.FromSource({"python": "3.9"}))
    names = {argument for operation, argument, _ in pickletools.genops(sent) if operation.name == "SHORT_BINUNICODE"}
    assert names == {"builtins", "eval"}
    received = pickle.loads(sent)
    assert type(received).__module__ == "hubline_probe" and isinstance(received, beam.DoFn)


@pytest.mark.slow
def test_workers_that_do_not_answer_are_no_reason_to_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", 1.5)
    jobs = StuckJobs()
    with (
        jobs.serving(),
        pytest.raises(
            RunError,
            match=rf"^beam\.environment_config: {POOL}: no worker answered within 2 s\. Look at the log of the ",
        ),
    ):
        ask_a_worker(engine(jobs.port), Places())
    assert jobs.cancelled == ["one"]


@pytest.mark.slow
def test_a_full_engine_is_waited_for(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", 0.4)
    caplog.set_level("INFO", "hubline")
    jobs = StuckJobs()
    with jobs.serving(), FlinkRest(jobs.names).serving() as rest:
        rest.free, rest.left, rest.then = 0, 10, lambda: setattr(rest, "free", 1)
        with pytest.raises(RunError, match="no worker answered within 0 s"):
            ask_a_worker(engine(jobs.port, flink_master=rest.address), Places())
    assert rest.free == 1, "the time without slots doesn't count"
    assert f"no task runs yet: 0 of 2 slots free, 1 TaskManagers (http://{rest.address})" in caplog.text
    assert rest.cancelled == [jobs.names[0]]


# While a job runs


def stuck(where: Engine) -> None:
    with JobPipeline(where, "vectors") as pipeline:
        pipeline | beam.Impulse()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_step_that_is_asked_to_end_cancels_its_job(number: signal.Signals) -> None:
    jobs = StuckJobs()
    with jobs.serving(), FlinkRest(jobs.names).serving() as rest, interruption.handled():
        threading.Thread(target=lambda: jobs.running.wait() and os.kill(os.getpid(), number)).start()
        with pytest.raises(interruption.Interrupted):
            stuck(engine(jobs.port, flink_master=rest.address))
    assert jobs.cancelled == ["one"] and rest.cancelled == jobs.names


@pytest.mark.slow
def test_a_job_has_a_name_of_its_own_and_a_page(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "hubline")
    jobs = StuckJobs()
    with jobs.serving(), FlinkRest(jobs.names).serving() as rest:
        rest.stages = ["FINISHED", "RUNNING", "CREATED"]
        rest.left, rest.then = 3, jobs.ended.set
        with pytest.raises(RunError, match=r"the job hubline-vectors-[0-9a-f]{8} was cancelled on the engine$"):
            stuck(engine(jobs.port, flink_master=rest.address))
    (name,) = jobs.names
    page = f"http://{rest.address}/#/job/running/{name}"
    assert f"the job {name}: running; 1 of 3 stages done, 1 at work ({page})" in caplog.text


@pytest.mark.slow
def test_a_lost_job_server_ends_the_run_and_the_job() -> None:
    jobs = StuckJobs()
    with jobs.serving() as server, FlinkRest(jobs.names).serving() as rest:
        threading.Thread(target=lambda: jobs.running.wait() and server.stop(None)).start()
        with pytest.raises(RunError, match=rf"^beam\.job_endpoint: localhost:{jobs.port}: the job server was lost "):
            stuck(engine(jobs.port, flink_master=rest.address))
    assert rest.cancelled == jobs.names


@pytest.mark.slow
def test_a_silent_job_server_counts_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "SILENCE_SECONDS", 0.5)
    jobs = StuckJobs(silent=True)
    with jobs.serving(), pytest.raises(RunError, match=r"was lost while the job \S+ ran \(silent for \d+ s\)"):
        stuck(engine(jobs.port))


# Shards


@dataclass(frozen=True)
class Shard(Number):
    """A task whose shard is a file."""

    folder: str = ""

    @property
    def name(self) -> str:
        return f"{self.folder}/shard-{self.number}"


@pytest.mark.slow
def test_shards_on_an_engine_are_done_and_their_errors_arrive_as_they_are(beams: int, tmp_path: Path) -> None:
    tasks = [Shard(number, folder=str(tmp_path)) for number in range(5)]
    for task in tasks:
        Path(task.name).touch()
    arguments = engine(beams, "LOOPBACK").arguments

    def run(fill: Any, store: str) -> None:
        stage = Stage("squares", "shards", tasks, fill, f"{tmp_path}/{store}", 1.0)
        on_engine.run(stage, stage.missing(), arguments, f"{tmp_path}/failures", lambda more: None)

    with pytest.raises(DataError, match=r"^record 3 is bad$"):
        run(Refusing(3, DataError("record 3 is bad")), "refusing")
    run(Sleeping(), "store")
    cache = ShardCache(f"{tmp_path}/store")
    found = [json.loads(Path(f"{cache.find(task.key)}/{FILE}").read_text())["square"] for task in tasks]
    assert found == [0, 1, 4, 9, 16]
    Path(tasks[0].name).unlink()
    probe.forget()
    with pytest.raises(RunError, match=rf"can't read {tasks[0].name}: FileNotFoundError"):
        on_engine.run(
            Stage("squares", "shards", tasks[:1], Sleeping(), f"{tmp_path}/other", 1.0),
            tasks[:1],
            arguments,
            f"{tmp_path}/failures",
            lambda more: None,
        )


@dataclass
class Cache:
    """Looks up entries, each of which takes a while."""

    done: set[str]
    broken: bool = False

    def find(self, key: str) -> str | None:
        sleep(0.002)
        if self.broken:
            raise OSError("the bucket doesn't answer")
        return key if key in self.done else None


def test_progress_of_many_shards_is_that_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [Number(number) for number in range(300)]
    reported: list[int] = []
    cache = Cache({task.key for task in tasks[::2]})
    monkeypatch.setattr(on_engine, "ShardCache", lambda store: cache)
    finished = on_engine.Finished(Stage("squares", "shards", tasks, Sleeping(), "store", 1.0), tasks, reported.append)
    monkeypatch.setattr(on_engine, "LOOK_SECONDS", 60.0)
    finished()
    assert reported == [1] * 150
    cache.broken = True
    with pytest.raises(OSError):
        finished()
    cache.broken = False
    cache.done = {task.key for task in tasks}
    monkeypatch.setattr(on_engine, "LOOK_SECONDS", 0.0)
    finished()
    assert len(reported) == 150, "no more than the time allows"
    monkeypatch.setattr(on_engine, "LOOK_SECONDS", 60.0)
    finished()
    finished()
    assert reported == [1] * 300


# Why a job failed

JOB = "hubline-vectors-0"
TRACEBACK = """\
java.lang.RuntimeException: Error received from SDK harness for instruction 1: Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1495, in apache_beam.runners.common.DoFnRunner.process
ValueError: bad

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/x/apache_beam/transforms/core.py", line 2086, in <lambda>
    wrapper = lambda x: [fn(x)]
ValueError: bad record 7 [while running 'Map(bad)']

\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient(FnApiControlClient.java:180)
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TRACEBACK, "failed in a worker: ValueError: bad record 7"),
        (
            "java.net.ConnectException: finishConnect(..) failed: Connection refused: localhost/127.0.0.1:5",
            f"beam.environment_config: {POOL}: the engine found no worker pool there: Connection refused: ",
        ),
        (
            "RemoteTransportException: Connection unexpectedly closed by remote task manager 'localhost:1'. This might",
            "failed, because a TaskManager was lost: Connection unexpectedly closed by remote task manager",
        ),
        (
            "jobmaster.JobMasterException: TaskManager with id localhost:36775-de33a1 is no longer reachable.",
            "failed, because a TaskManager was lost: TaskManager with id localhost:36775-de33a1 is no longer reachable",
        ),
        (
            "NoResourceAvailableException: Could not acquire the minimum required resources.",
            "got no slots: Could not acquire the minimum required resources.",
        ),
        (
            "java.util.concurrent.TimeoutException: Timeout has occurred: 300000 ms",
            "got no slots: Timeout has occurred",
        ),
        ("java.io.IOException: Insufficient number of network buffers: required 17", "more network memory"),
        ("Pipeline x failed in state CANCELLED: unknown error", "was cancelled on the engine"),
        ("a\nCaused by: java.lang.Outer: o\nCaused by: java.lang.Inner: i", "failed: java.lang.Inner: i"),
        (f"x {on_worker.marked('the worker lacks é')} y", f"beam.environment_config: {POOL}: the worker lacks é"),
    ],
)
def test_the_reason_is_found_in_what_runners_wrap_around_it(text: str, said: str) -> None:
    error = explained(engine(8099), JOB, RuntimeError(text), "")
    assert said in str(error) and str(error).startswith("beam.")
    assert len(str(error)) < 450
