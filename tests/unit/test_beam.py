"""The section `beam`: the resulting options as Beam parses them, what each runner needs, and when workers take part."""

import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    WorkerOptions,
)
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from hubline.components import engine_endpoint
from hubline.components.beam import IN_ONE_PROCESS, Beam
from hubline.components.engine import Work, arguments_for, local_workers
from hubline.components.engine_endpoint import check_endpoint
from hubline.core.errors import RunError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from hubline.pipeline.run import run
from tests.support.ports import free_port

EXTERNAL = {"environment": "EXTERNAL", "environment_config": "localhost:50000"}
FLINK = {"runner": "FlinkRunner", "job_endpoint": "localhost:8099", **EXTERNAL}
REMOTE = {**FLINK, "job_endpoint": "flink:8099"}
DATAFLOW = {
    "runner": "DataflowRunner",
    "options": {"project": "p", "region": "r", "temp_location": "gs://b/tmp", "sdk_container_image": "i"},
}
MIB = 2**20


def options(**section: Any) -> PipelineOptions:
    return PipelineOptions(Beam(**section).arguments())


def test_without_a_word_everything_runs_in_the_step_itself() -> None:
    assert tuple(Beam().arguments()) == IN_ONE_PROCESS and Beam().in_step
    assert Beam(workers=1).arguments() == Beam().arguments()


def test_on_spark_python_processes_stay_for_the_next_stage() -> None:
    def kept(**more: Any) -> str:
        made = options(runner="SparkRunner", job_endpoint="a:1", **EXTERNAL, **more)
        return str(made.get_all_options()["environment_cache_millis"])

    assert kept() == "600000" and kept(options={"environment_cache_millis": 5}) == "5"


def test_workers_of_the_direct_runner_are_processes() -> None:
    assert local_workers(Beam(workers=3).arguments()) == 3
    assert local_workers(Beam().arguments()) == 1 and local_workers(Beam(**FLINK).arguments()) is None


def test_an_engine_is_told_all_that_is_said() -> None:
    said = options(**REMOTE, workers=4, options={"flink_version": "1.19", "experiments": "beam_fn_api", "no": False})
    portable = said.view_as(PortableOptions)
    assert (portable.job_endpoint, portable.environment_type) == ("flink:8099", "EXTERNAL")
    assert portable.environment_config == "localhost:50000"
    everything = said.get_all_options()
    assert (everything["runner"], everything["parallelism"]) == ("FlinkRunner", 4)
    assert everything["flink_version"] == "1.19" and everything["experiments"] == ["beam_fn_api"]
    assert said.view_as(SetupOptions).beam_plugins == ["hubline"], "workers import the package first"
    assert "--no" not in Beam(options={"no": False}).arguments()


def test_workers_in_an_image_have_that_image() -> None:
    section = {**FLINK, "environment": "DOCKER", "environment_config": "image@sha256:0"}
    assert options(**section).view_as(WorkerOptions).sdk_container_image == "image@sha256:0"
    assert options(**FLINK).view_as(WorkerOptions).sdk_container_image == "none"
    assert options(**DATAFLOW).view_as(WorkerOptions).sdk_container_image == "i"
    assert not Beam(**section).in_step and Beam(**(section | {"environment": "LOOPBACK"})).in_step


# What each runner needs

FILE = """\
name: taxi
data: {examples: EXAMPLES}
features: {miles: {kind: numeric}}
label: {from: tips, kind: binary}
training: {epochs: 1, batch_size: 8}
serving: {destination: serving}
beam:
"""


def errors(folder: Path, section: dict[str, Any], examples: str = "gs://bucket/data/*") -> list[str]:
    """The errors in a file, without its name: `line: key: message`."""
    path = folder / "pipeline.yaml"
    lines = (f"  {key}: {value}\n" for key, value in section.items())
    path.write_text(FILE.replace("EXAMPLES", examples) + "".join(lines))
    try:
        load(path)
    except PipelineFileError as error:
        return [f"{each.line}: {each.key}: {each.message}" for each in error.diagnostics]
    return []


@pytest.mark.parametrize(
    "section",
    [
        {"workers": 4},
        FLINK,
        REMOTE,
        {**FLINK, "options": "{flink_version: '1.19'}"},
        {"runner": "FlinkRunner", "options": "{flink_master: 'flink:8081'}", **EXTERNAL},
        {"runner": "SparkRunner", "job_endpoint": "spark:8099", "environment": "DOCKER", "environment_config": "i"},
        {"runner": "PortableRunner", "job_endpoint": "127.0.0.1:1", "environment": "LOOPBACK"},
        {"runner": "FlinkRunner", "options": "{flink_master: 'http://localhost'}", "environment": "LOOPBACK"},
        DATAFLOW,
    ],
)
def test_a_runner_that_has_what_it_needs_is_accepted(tmp_path: Path, section: dict[str, Any]) -> None:
    assert not errors(tmp_path, section)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            {"runner": "PortableRunner", **EXTERNAL},
            ["8: beam.runner: PortableRunner requires job_endpoint, the host and port of a job server"],
        ),
        ({"runner": "SparkRunner", **EXTERNAL}, ["8: beam.runner: SparkRunner requires job_endpoint"]),
        (
            {"runner": "FlinkRunner", **EXTERNAL},
            ["8: beam.runner: FlinkRunner requires job_endpoint", "or options.flink_master"],
        ),
        (
            {"runner": "FlinkRunner", "job_endpoint": "a:1"},
            ["8: beam.runner: FlinkRunner requires environment", "EXTERNAL"],
        ),
        (
            {"job_endpoint": "a:1", "environment": "LOOPBACK"},
            ["8: beam.job_endpoint: DirectRunner runs in the step's process", "9: beam.environment: DirectRunner"],
        ),
        ({**FLINK, "environment_config": "null"}, ["10: beam.environment: environment EXTERNAL requires env"]),
        (
            {**REMOTE, "environment": "LOOPBACK"},
            ["10: beam.environment: LOOPBACK has workers in the step's own process, which flink:8099 doesn't reach"],
        ),
        ({"runner": "FlinkRunner", "job_endpoint": "flink", **EXTERNAL}, ["9: beam.job_endpoint: 'flink' does not"]),
        ({"options": "{runner: FlinkRunner}"}, ["8: beam.options.runner: set it as beam.runner"]),
        ({"options": "{environment_type: LOOPBACK}"}, ["8: beam.options.environment_type: set it as beam.environment"]),
        ({**FLINK, "options": "{parallelism: 3}"}, ["12: beam.options.parallelism: set it as beam.workers"]),
        ({**FLINK, "options": "{extra_package: a.whl}"}, ["12: beam.options.extra_package: not every worker"]),
        ({**FLINK, "options": "{flink_version: '1.3'}"}, ["12: beam.options.flink_version: Beam 2", "and not for 1.3"]),
        ({**FLINK, "options": "{job_server_timeout: soon}"}, ["12: beam.options: argument --job_server_timeout"]),
        ({"workers": 0}, ["8: beam.workers: "]),
        (
            {"runner": "SparkRunner", "job_endpoint": "localhost:1", **EXTERNAL, "workers": 4},
            ["beam.workers: on Spark, the cluster decides how many executors take part"],
        ),
        ({**REMOTE, "volumes": "[shared]"}, ["12: beam.volumes[0]: shared: must be an absolute path"]),
        ({**DATAFLOW, "volumes": "[/mnt]"}, ["beam.volumes: DataflowRunner takes no volumes"]),
        (
            {"runner": "DataflowRunner", "options": "{project: p, temp_location: /tmp/x}"},
            [
                "9: beam.options: DataflowRunner requires region: the region",
                "9: beam.options: DataflowRunner requires sdk_container_image: an image",
                "9: beam.options.temp_location: /tmp/x: Dataflow's workers see buckets only",
            ],
        ),
    ],
)
def test_what_cannot_work_is_said_with_line_and_key(tmp_path: Path, section: dict[str, Any], said: list[str]) -> None:
    found = errors(tmp_path, section)
    assert all(any(text in line for line in found) for text in said), found


def test_an_engine_that_goes_on_with_jobs_is_doubted(tmp_path: Path) -> None:
    def doubts(section: dict[str, Any]) -> list[str]:
        assert not errors(tmp_path, section)
        return [f"{each.line}: {each.key}: {each.message}" for each in check(tmp_path / "pipeline.yaml")[2]]

    (found,) = doubts(FLINK)
    assert found.startswith("9: beam.job_endpoint: a run that is stopped can't cancel its job")
    assert "set beam.options.flink_master to the address of Flink's REST API" in found
    assert not doubts({**FLINK, "options": "{flink_master: 'localhost:8081'}"})
    assert not doubts({**FLINK, "runner": "SparkRunner"})


def test_workers_elsewhere_read_buckets_and_shared_volumes(tmp_path: Path) -> None:
    (found,) = errors(tmp_path, REMOTE, examples="data")
    assert found.startswith(f"2: data.examples: {tmp_path}/data: workers of flink:8099 don't see this machine's files")
    assert not errors(tmp_path, FLINK, examples="data"), "an engine on this machine"
    assert not errors(tmp_path, {**REMOTE, "volumes": f"[{tmp_path}]"}, examples="data")
    (found,) = errors(tmp_path, DATAFLOW, examples="data")
    assert "workers of Dataflow" in found and found.endswith("use a bucket")


# Which pipelines leave the step


@pytest.mark.parametrize(
    ("section", "work", "flags", "said"),
    [
        ({}, Work(9, [2**40], 1), {}, None),
        (
            {"workers": 4},
            Work(9, [255 * MIB], 1),
            {"direct_num_workers": 1},
            "no workers are started for 255.0 MiB; th",
        ),
        ({"workers": 4}, Work(9, [256 * MIB], 1), {"direct_num_workers": 4}, None),
        ({"workers": 4}, Work(2, [2**40] * 2, 1), {"direct_num_workers": 2}, "2 of 4 workers take part: there are 2 s"),
        ({"workers": 4}, Work(1, [2**40], 1), {"direct_num_workers": 1}, "1 of 4 workers takes part: there is 1 shard"),
        ({"workers": 4, "min_bytes": 0}, Work(9, [1], 1), {"direct_num_workers": 4}, None),
        ({"workers": 8}, Work(9, [320 * MIB], 1), {"direct_num_workers": 5}, "5 of 8 workers take part: there are 320"),
        ({"workers": 4, "min_bytes": MIB}, Work(9, [2 * MIB], 1), {"direct_num_workers": 4}, None),
        ({"workers": 4}, Work(9, [16 * MIB], 16), {"direct_num_workers": 4}, None),
        ({"workers": 4}, Work(9, [1023 * MIB], 0.25), {"direct_num_workers": 1}, "no workers are started for 1,023.0"),
        ({"workers": 8}, Work(9, [1280 * MIB], 0.25), {"direct_num_workers": 5}, "5 of 8 workers"),
        (
            {**FLINK, "workers": 16},
            Work(9, [MIB], 4),
            {"runner": None},
            "no workers are started for 1.0 MiB; they pay off from 64.0 MiB (beam.min_bytes)",
        ),
        ({"workers": 2}, Work(1, [1536], 1), {"direct_num_workers": 1}, "no workers are started for 1.5 KiB"),
        ({**FLINK, "workers": 16}, Work(9, [2**40] * 9, 1), {"parallelism": 9}, "9 of 16 workers take part"),
        ({**FLINK, "min_bytes": 0}, Work(9, [1], 1), {"parallelism": -1}, None),
    ],
)
def test_workers_take_part_where_there_is_work_for_them(
    section: dict[str, Any], work: Work, flags: dict[str, Any], said: str | None
) -> None:
    arguments, notes = arguments_for(Beam(**section).arguments(), work)
    found = PipelineOptions(arguments).get_all_options()
    assert {name: found[name] for name in flags} == flags
    assert [note.startswith(said or "") for note in notes] == ([True] if said else [])
    assert (tuple(arguments) == IN_ONE_PROCESS) == (found["direct_num_workers"] == 1 and found["runner"] is None)


def test_no_more_files_are_measured_than_needed() -> None:
    asked = []

    def sizes() -> Iterator[int]:
        for number in range(1_000_000):
            asked.append(number)
            yield 100 * MIB

    arguments_for(Beam(workers=2).arguments(), Work(1_000_000, sizes(), 1))
    assert len(asked) < 5


# Whether the engine is there


def engine(address: str, **section: Any) -> list[str]:
    return Beam(**{**FLINK, "job_endpoint": address, **section}).arguments()


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_endpoint, "SECONDS", 0.5)


@pytest.mark.slow
@pytest.mark.usefixtures("quickly")
def test_an_engine_that_is_not_there_is_named_with_key_and_address() -> None:
    address = f"localhost:{free_port()}"
    with pytest.raises(RunError, match=rf"^beam\.job_endpoint: {address}: no Beam job server answered within"):
        check_endpoint(engine(address))
    with pytest.raises(RunError, match=rf"^beam\.options\.flink_master: {address}: no REST API of Flink"):
        check_endpoint(Beam(runner="FlinkRunner", options={"flink_master": address}, **EXTERNAL).arguments())
    with socket.socket() as silent:  # accepts connections, and never answers
        silent.bind(("localhost", 0))
        silent.listen()
        with pytest.raises(RunError, match="no Beam job server answered"):
            check_endpoint(engine(f"localhost:{silent.getsockname()[1]}"))
    check_endpoint(IN_ONE_PROCESS)


class JobServer(beam_job_api_pb2_grpc.JobServiceServicer):
    """Answers the first question that Beam asks."""

    def DescribePipelineOptions(self, request: Any, context: Any) -> Any:
        return beam_job_api_pb2.DescribePipelineOptionsResponse()


@pytest.mark.parametrize("is_job_server", [True, False])
def test_a_job_server_is_recognized(is_job_server: bool) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    if is_job_server:
        beam_job_api_pb2_grpc.add_JobServiceServicer_to_server(JobServer(), server)
    address = f"localhost:{server.add_insecure_port('localhost:0')}"
    server.start()
    try:
        if is_job_server:
            check_endpoint(engine(address))
        else:
            with pytest.raises(RunError, match=rf"{address}: a service answers that is no Beam job server"):
                check_endpoint(engine(address))
    finally:
        server.stop(None).wait()


@pytest.mark.slow
def test_a_flink_of_another_version_is_refused() -> None:
    class Flink(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"flink-version": "1.19.3"}')

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("localhost", 0), Flink) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        master = f"localhost:{server.server_port}"

        section = {"runner": "FlinkRunner", **EXTERNAL}

        def ask(version: str) -> None:
            check_endpoint(Beam(**section, options={"flink_master": master, "flink_version": version}).arguments())

        ask("1.19")
        other = next(each for each in FlinkRunnerOptions.PUBLISHED_FLINK_VERSIONS if each != "1.19")
        with pytest.raises(RunError, match=rf"Flink 1\.19\.3 runs there, and Beam would send a job for {other}; set "):
            ask(other)
        server.shutdown()


def test_a_run_whose_artifacts_workers_cannot_reach_is_refused_before_it_starts(tmp_path: Path) -> None:
    assert not errors(tmp_path, REMOTE)
    path = tmp_path / "pipeline.yaml"
    with pytest.raises(
        PipelineFileError, match=rf"yaml:7: beam: {tmp_path}/\.hubline/taxi: workers of flink:8099 don't"
    ):
        run(path, None, quiet=True)
    assert not (tmp_path / ".hubline").exists()
